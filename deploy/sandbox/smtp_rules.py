"""What a strict mail relay thinks of a mail before it takes it.

In: the bytes after DATA and the account that sends. Out: nothing, or an SMTP refusal. The rules are
those of RFC 5322 (headers once, lines of 998 characters, CRLF), RFC 2045 (no defects in the MIME
tree), RFC 8058 (one-click unsubscribe whole and signed) and of the account (its own From, its DKIM
key, whose DNS record the registration gives).
"""

import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import compat32, default

import dkim
import msgspec

LINE_BYTES_MAX = 998
ONCE = ("from", "to", "subject", "date", "message-id", "reply-to", "mime-version")
NEEDED = ("from", "to", "date", "message-id", "subject")
SIGNED_TOO = (b"list-unsubscribe", b"list-unsubscribe-post")
_BARE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")


class Refusal(Exception):
    """The relay does not take the mail; the text is its answer."""


class Dkim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What DNS says under `<selector>._domainkey.<domain>`."""

    domain: str
    selector: str
    record: str


def judge(
    raw: bytes, *, recipient: str, senders: tuple[str, ...], key: Dkim | None
) -> EmailMessage:
    """Return the mail, parsed; raise `Refusal`."""
    _lines(raw)
    message = BytesParser(policy=default).parsebytes(raw)
    if not isinstance(message, EmailMessage):
        raise Refusal("550 5.6.0 not a message")
    _headers(message, recipient, senders)
    if any(part.defects for part in message.walk()):
        raise Refusal("550 5.6.0 the message is not well formed")
    _unsubscribe(message, raw)
    if key is not None:
        _signature(raw, message, key)
    return message


def _lines(raw: bytes) -> None:
    if _BARE_END.search(raw):
        raise Refusal("550 5.6.11 bare line ends")
    if max(map(len, raw.split(b"\r\n"))) > LINE_BYTES_MAX:
        raise Refusal("550 5.6.0 a line is too long")
    if not raw.partition(b"\r\n\r\n")[0].isascii():
        raise Refusal("550 5.6.9 unencoded characters in a header")


def _headers(message: EmailMessage, recipient: str, senders: tuple[str, ...]) -> None:
    for name in ONCE:
        if len(message.get_all(name, [])) > 1:
            raise Refusal(f"550 5.7.1 more than one {name}")
    for name in NEEDED:
        if not message.get(name):
            raise Refusal(f"550 5.7.1 no {name}")
    if [each.addr_spec for each in message["From"].addresses][:2] not in [[s] for s in senders]:
        raise Refusal("550 5.7.1 not authorized to send in that name")
    if [each.addr_spec for each in message["To"].addresses] != [recipient]:
        raise Refusal("550 5.7.1 the recipient is not the one in To")


def _unsubscribe(message: EmailMessage, raw: bytes) -> None:
    written = BytesParser(policy=compat32).parsebytes(raw, headersonly=True)["List-Unsubscribe"]
    if "=?" in str(written or ""):
        raise Refusal(
            "550 5.6.0 encoded words in List-Unsubscribe, which mail programs do not follow"
        )
    ways, post = message.get("List-Unsubscribe"), message.get("List-Unsubscribe-Post")
    if post is None:
        return
    if post.strip() != "List-Unsubscribe=One-Click" or "<http" not in (ways or ""):
        raise Refusal("550 5.6.0 one-click unsubscribe without its URL")


def _signature(raw: bytes, message: EmailMessage, key: Dkim) -> None:
    name = f"{key.selector}._domainkey.{key.domain}.".encode()
    verifier = dkim.DKIM(raw)

    def record(asked: bytes, timeout: float = 0.0) -> bytes | None:
        del timeout
        return key.record.encode() if asked == name else None

    try:
        genuine = verifier.verify(dnsfunc=record)
    except (dkim.DKIMException, ValueError):
        genuine = False
    if not genuine:
        raise Refusal("550 5.7.20 the DKIM signature does not verify")
    covered = {each.lower() for each in verifier.include_headers}
    if message.get("List-Unsubscribe") and not covered.issuperset(SIGNED_TOO):
        raise Refusal("550 5.7.20 the signature leaves List-Unsubscribe out")
