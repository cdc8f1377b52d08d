"""The certificates that SNS signs with: fetched once, checked, kept.

In: addresses that were checked already. Out: public keys. What a stranger may make us do is
bounded: a few fetches a minute, a few kilobytes each, a few certificates kept. A certificate counts
when it names SNS and is valid; that it is Amazon's is proved by the host it was fetched from over
TLS, whose chain the client has verified.
"""

import asyncio
import time
from collections import OrderedDict, deque
from datetime import datetime

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from shared.sender.calls import AnswerTooLargeError, read_answer
from shared.sender.provider import KeyUnavailableError

KEPT_MAX = 32  # a region changes its certificate about once a year; accounts share them
FETCHES_MAX = 10  # within FETCHES_WINDOW_SECONDS: a forger may not use us against others
FETCHES_WINDOW_SECONDS = 60.0
REFUSED_SECONDS = 60.0  # an address that had no certificate is not asked again for so long
RSA_BITS_MIN = 2_048
OK = 200
NOT_FOUND_FIRST, NOT_FOUND_LAST = 400, 499


class _Certificate(msgspec.Struct, frozen=True):
    key: RSAPublicKey
    valid_from: datetime
    valid_until: datetime


class Certificates:
    """The certificates of one process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Certificate] = OrderedDict()
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._fetches: deque[float] = deque(maxlen=FETCHES_MAX)
        self._one_at_a_time = asyncio.Lock()

    def key(self, url: str, now: datetime) -> RSAPublicKey | None:
        """Return the key of a certificate that was fetched and is valid now."""
        kept = self._kept.get(url)
        if kept is None or not kept.valid_from <= now <= kept.valid_until:
            return None
        return kept.key

    async def fetch(self, client: aiohttp.ClientSession, url: str) -> None:
        """Have the certificate of `url`, if there is one; raise `KeyUnavailableError` for now."""
        if url in self._kept:
            return
        async with self._one_at_a_time:
            if url in self._kept or self._was_refused(url):
                return
            self._spend()
            pem = await _get(client, url)
            certificate = None if pem is None else _read(pem)
            if certificate is None:
                self._refused[url] = time.monotonic()
                _bound(self._refused)
                return
            self._kept[url] = certificate
            _bound(self._kept)

    def _was_refused(self, url: str) -> bool:
        at = self._refused.get(url)
        return at is not None and time.monotonic() - at < REFUSED_SECONDS

    def _spend(self) -> None:
        now = time.monotonic()
        full = len(self._fetches) == FETCHES_MAX
        if full and now - self._fetches[0] < FETCHES_WINDOW_SECONDS:
            msg = "too many certificates asked for within a minute"
            raise KeyUnavailableError(msg)
        self._fetches.append(now)


def _bound(kept: OrderedDict[str, _Certificate] | OrderedDict[str, float]) -> None:
    while len(kept) > KEPT_MAX:
        kept.popitem(last=False)


async def _get(client: aiohttp.ClientSession, url: str) -> bytes | None:
    """Return what an address serves, None when it has nothing."""
    try:
        async with client.get(url, allow_redirects=False) as response:
            if response.status == OK:
                return await read_answer(response)
            if NOT_FOUND_FIRST <= response.status <= NOT_FOUND_LAST:
                return None
            reason = f"answered {response.status}"
    except AnswerTooLargeError:
        return None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = type(error).__name__
    msg = f"the signing certificate could not be fetched ({reason})"
    raise KeyUnavailableError(msg)


def _read(pem: bytes) -> _Certificate | None:
    """Return a certificate of SNS; None for anything else."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        return None
    if not any(_is_of_sns(name) for name in _names(certificate)):
        return None
    return _Certificate(
        key=key,
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
    )


def _names(certificate: x509.Certificate) -> list[str]:
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = [str(each.value) for each in common]
    try:
        other = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return names
    return names + other.value.get_values_for_type(x509.DNSName)


def _is_of_sns(name: str) -> bool:
    """Say whether a certificate's name is that of SNS, of all regions or of one."""
    domains = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu")
    return name.startswith("sns.") and name.endswith(domains)
