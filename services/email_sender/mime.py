"""An e-mail as it travels: RFC 5322 headers, MIME parts, DKIM signature, VERP return path.

In: an `Email`, the account it goes out on, and the circumstances. Out: envelope and bytes, or
`MimeError` naming the setting to mend. Every address in it that comes back to us carries our
reference with its seal: the return path (bounces), Reply-To, the mailto: of List-Unsubscribe, and
the Message-ID, which replies quote.
"""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate

import dkim
import msgspec

from services.email_sender.message import (
    NAME_CHARS_MAX,
    SUBJECT_CHARS_MAX,
    Email,
    html_of,
    is_address,
    one_line,
    text_of,
)
from shared.sender.provider import Account, Sending

BOUNCE, REPLY, UNSUBSCRIBE = "b", "r", "u"  # what an address of ours is for: `b-<reference>@…`
REFERENCE_PARTS = 4  # of `Sending.reference`; with a letter before it fits 64 characters
PARTS_ENCODING = "quoted-printable"  # 7-bit lines: no relay has to re-code, no signature breaks
LIST_UNSUBSCRIBE = "List-Unsubscribe"
SIGNED = (
    "from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type",
    "content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post", "auto-submitted",
)  # fmt: skip


class _Wire(EmailPolicy):
    """Headers as they travel: the library's folding, but for links.

    A link longer than a line it would write as encoded words, which no mail program follows.
    """

    def fold(self, name: str, value: str) -> str:
        """Return a header's lines."""
        if name == LIST_UNSUBSCRIBE:
            ways = str(value).replace(", ", f",{self.linesep} ")
            return f"{name}: {ways}{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return a header's lines as bytes."""
        if name == LIST_UNSUBSCRIBE:
            return self.fold(name, value).encode("ascii")
        return super().fold_binary(name, value)


WIRE = _Wire(linesep="\r\n")


class MimeError(ValueError):
    """The account's settings make no valid mail; the message names the option, never a value."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail ready to hand over: envelope, our name for it, and its bytes (CRLF lines)."""

    return_path: str
    to: str
    message_id: str
    content: bytes


def build(email: Email, account: Account, sending: Sending) -> Mail:
    """Return the mail of one attempt; raise `MimeError`."""
    sender = account.settings.sender
    if not is_address(sender):
        msg = "sender"
        raise MimeError(msg)
    message = compose_mime(email, account, sending)
    content = message.as_bytes()
    if "dkim_key" in account.credentials:
        content = _signature(content, account) + content
    return Mail(
        return_path=_own_address(account, BOUNCE, sending) or sender,
        to=email.to,
        message_id=message["Message-ID"].strip("<>"),
        content=content,
    )


def compose_mime(email: Email, account: Account, sending: Sending) -> EmailMessage:
    """Return the message, unsigned."""
    options, sender = account.settings.options, account.settings.sender
    name = one_line(options.get("from_name") or email.from_name, NAME_CHARS_MAX)
    message = EmailMessage(policy=WIRE)
    try:
        message["From"] = Address(display_name=name, addr_spec=sender)
        message["To"] = Address(addr_spec=email.to)
        reply_to = options.get("reply_to") or _own_address(account, REPLY, sending)
        if reply_to:
            message["Reply-To"] = Address(addr_spec=reply_to)
        message["Subject"] = one_line(email.subject, SUBJECT_CHARS_MAX)
    except (ValueError, MessageError, IndexError):
        msg = "reply_to, bounce_domain or sender"
        raise MimeError(msg) from None
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{_reference(sending)}@{_own_domain(account)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine need answer
    message["Content-Language"] = email.language
    for header, value in unsubscribe_headers(account, sending).items():
        message[header] = value
    message.set_content(text_of(email, sending.unsubscribe_url), cte=PARTS_ENCODING)
    markup = html_of(email, sending.unsubscribe_url)
    if markup is not None:
        message.add_alternative(markup, subtype="html", cte=PARTS_ENCODING)
    return message


def unsubscribe_headers(account: Account, sending: Sending) -> dict[str, str]:
    """Return List-Unsubscribe and its one-click companion (RFC 8058)."""
    if not sending.unsubscribe_url:
        return {}
    ways = [f"<{sending.unsubscribe_url}>"]
    address = _own_address(account, UNSUBSCRIBE, sending)
    if address:
        ways.append(f"<mailto:{address}?subject=unsubscribe>")
    return {
        LIST_UNSUBSCRIBE: ", ".join(ways),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _own_address(account: Account, purpose: str, sending: Sending) -> str | None:
    """Return an address of ours that names the attempt; None without a domain for it."""
    domain = account.settings.options.get("bounce_domain")
    return f"{purpose}-{_reference(sending)}@{domain}" if domain else None


def _own_domain(account: Account) -> str:
    domain = account.settings.options.get("bounce_domain")
    return domain or account.settings.sender.rpartition("@")[2]


def _reference(sending: Sending) -> str:
    return "-".join(sending.reference.split("-")[:REFERENCE_PARTS])


def _signature(content: bytes, account: Account) -> bytes:
    """Return the DKIM-Signature header, relaxed both ways."""
    options = account.settings.options
    domain = options.get("dkim_domain") or account.settings.sender.rpartition("@")[2]
    selector = options.get("dkim_selector", "")
    if not selector:
        msg = "dkim_selector"
        raise MimeError(msg)
    present = {
        line.partition(b":")[0].lower() for line in content.split(b"\r\n\r\n")[0].split(b"\r\n")
    }
    try:
        signed: bytes = dkim.sign(
            content,
            selector.encode(),
            domain.encode(),
            account.credentials["dkim_key"].encode(),
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[name.encode() for name in SIGNED if name.encode() in present],
        )
    except (dkim.DKIMException, ValueError, TypeError):
        msg = "dkim_key, dkim_domain or dkim_selector"
        raise MimeError(msg) from None
    return signed
