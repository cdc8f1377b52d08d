"""Signature Version 4 as Amazon's servers check it, written from its specification.

In: a request and the secret of the key that it names. Out: nothing, or `Refused` with Amazon's code
and text. Every header that the signature claims is hashed as it came; body, path, query, date,
region and service are covered, and a signature is good for five minutes.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import msgspec

from deploy.sandbox.intake import Refused
from deploy.sandbox.wire import Request

ALGORITHM = "AWS4-HMAC-SHA256"
GOOD_FOR = timedelta(minutes=5)
_HEADER = re.compile(
    rf"{ALGORITHM} Credential=(?P<key>[^/,\s]+)/(?P<date>\d{{8}})/(?P<region>[^/,\s]+)/"
    r"(?P<service>[^/,\s]+)/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_SPACES = re.compile(r"\s+")


class Claim(msgspec.Struct, frozen=True):
    """What an Authorization header claims."""

    key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


def read_claim(request: Request) -> Claim:
    """Return the claim of a request; raise `Refused` when there is none that can be read."""
    given = request.headers.get(b"authorization", b"").decode("latin-1")
    if not given:
        raise Refused("MissingAuthenticationTokenException")
    found = _HEADER.fullmatch(given)
    if found is None:
        shown = "Authorization header requires Credential, SignedHeaders and Signature parameters."
        raise Refused("IncompleteSignatureException", shown)
    return Claim(
        key=found["key"],
        date=found["date"],
        region=found["region"],
        service=found["service"],
        headers=tuple(found["headers"].split(";")),
        signature=found["signature"],
    )


def check(request: Request, claim: Claim, *, secret: str, region: str, now: datetime) -> None:
    """Raise `Refused` unless the request was signed with `secret` for `region`, just now."""
    if claim.service != "ses":
        raise Refused("InvalidSignatureException", "Credential should be scoped to service: 'ses'.")
    if claim.region != region:
        shown = "Credential should be scoped to a valid region."
        raise Refused("InvalidSignatureException", shown)
    if not _required(request.headers) <= set(claim.headers):
        shown = "'Host' and every 'X-Amz-*' header must be a 'SignedHeader'."
        raise Refused("InvalidSignatureException", shown)
    stamp = request.headers.get(b"x-amz-date", b"").decode("latin-1")
    _check_date(stamp, claim.date, now)
    scope = f"{claim.date}/{region}/{claim.service}/aws4_request"
    digest = hashlib.sha256(canonical(request, claim.headers).encode()).hexdigest()
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    if not hmac.compare_digest(sign(secret, scope, text), claim.signature):
        shown = "The request signature we calculated does not match the signature you provided."
        raise Refused("InvalidSignatureException", shown)


def sign(secret: str, scope: str, text: str) -> str:
    """Return the signature of a text by the key that the scope derives from a secret."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical(request: Request, signed: tuple[str, ...]) -> str:
    """Return the canonical request: what is hashed."""
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(request.query, keep_blank_values=True)
    )
    headers = [
        f"{name}:{_SPACES.sub(' ', _value(request.headers, name).strip())}\n" for name in signed
    ]
    return "\n".join(
        [
            request.method.decode(),
            quote(request.path, safe="/-_.~") or "/",
            "&".join([f"{name}={value}" for name, value in query]),
            "".join(headers),
            ";".join(signed),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )


def _value(headers: Mapping[bytes, bytes], name: str) -> str:
    return headers.get(name.encode(), b"").decode("latin-1")


def _required(headers: Mapping[bytes, bytes]) -> set[str]:
    names = {name.decode("latin-1") for name in headers}
    return {"host", "x-amz-date"} | {name for name in names if name.startswith("x-amz-")}


def _check_date(stamp: str, date: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        shown = "Authorization header requires existence of a 'X-Amz-Date' header."
        raise Refused("IncompleteSignatureException", shown) from None
    if stamp[:8] != date:
        shown = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date."
        raise Refused("InvalidSignatureException", shown)
    if abs(now - signed_at) > GOOD_FOR:
        shown = f"Signature expired: {stamp} is now earlier than {now - GOOD_FOR:%Y%m%dT%H%M%SZ}."
        raise Refused("InvalidSignatureException", shown)
