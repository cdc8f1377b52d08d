"""The bytes of a mail: headers once, parts in order, addresses that name the attempt."""

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.email_sender.message import LINK, Email
from services.email_sender.mime import build
from shared.events.configuration import SenderAccount
from shared.sender.provider import Account, Sending

REFERENCE = "0123456789abcdef0123456789abcdef-20-20261122-0123456789abcdef"
SENDING = Sending(
    callback_url="https://mail.example/webhooks/smtp/acme/mail",
    validity_seconds=60,
    reference=REFERENCE,
    unsubscribe_url=f"https://mail.example/unsubscribe/acme/mail/{REFERENCE}-{'f' * 32}-{'0' * 16}",
)


def an_account(**options: str) -> Account:
    return Account(
        tenant_id="acme",
        account_id="mail",
        settings=SenderAccount(
            channel="email",
            provider="smtp",
            sender="cobranca@acme.example",
            rate_per_second=1.0,
            credentials={},
            options=options,
        ),
        credentials={},
    )


def a_mail(**words: Any) -> Email:
    fields: dict[str, Any] = {
        "to": "ana@example.com",
        "from_name": "Casa Aurora",
        "subject": "Olá, Ana",
        "body": f"Olá.\nSair: {LINK}",
        "markup": f"<p>Olá. {LINK}</p>",
        "language": "pt-BR",
    }
    return Email(**(fields | words))


def parsed(content: bytes) -> EmailMessage:
    message = BytesParser(policy=default).parsebytes(content)
    assert isinstance(message, EmailMessage)
    return message


def test_the_addresses_name_the_attempt_and_fit() -> None:
    mail = build(a_mail(), an_account(bounce_domain="b.acme.example"), SENDING)
    message = parsed(mail.content)
    assert mail.return_path == f"b-{REFERENCE}@b.acme.example"
    assert len(mail.return_path.partition("@")[0]) <= 64  # what RFC 5321 grants a local part
    assert message["Reply-To"] == f"r-{REFERENCE}@b.acme.example"
    assert message["Message-ID"] == f"<{REFERENCE}@b.acme.example>"
    assert mail.message_id == f"{REFERENCE}@b.acme.example"
    mailto = f"<mailto:u-{REFERENCE}@b.acme.example?subject=unsubscribe>"
    # As it is on the wire: mail programs look for links there and decode nothing.
    links = f"\r\nList-Unsubscribe: <{SENDING.unsubscribe_url}>,\r\n {mailto}\r\n"
    assert links.encode() in mail.content
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"


def test_without_a_domain_of_ours_answers_go_to_the_sender() -> None:
    mail = build(a_mail(), an_account(), SENDING)
    message = parsed(mail.content)
    assert mail.return_path == "cobranca@acme.example"
    assert message["Reply-To"] is None
    assert "mailto:" not in message["List-Unsubscribe"]


def test_text_comes_before_html_and_both_have_the_link() -> None:
    message = parsed(build(a_mail(), an_account(), SENDING).content)
    plain, markup = message.iter_parts()
    assert (plain.get_content_type(), markup.get_content_type()) == ("text/plain", "text/html")
    for part in (plain, markup):
        assert SENDING.unsubscribe_url in part.get_content()
        assert LINK not in part.get_content()


HEADER_TEXT = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(name=HEADER_TEXT, subject=HEADER_TEXT, body=st.text(max_size=300))
def test_whatever_is_printable_makes_one_well_formed_mail(
    name: str, subject: str, body: str
) -> None:
    """Names that look like addresses stay names; the only sender is ours."""
    email = a_mail(from_name=name, subject=subject, body=body.replace("\x00", ""), markup=None)
    content = build(email, an_account(), SENDING).content
    head = content.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert content.count(b"\r\n") == content.count(b"\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = parsed(content)
    assert [each.addr_spec for each in message["From"].addresses] == ["cobranca@acme.example"]
    assert [each.addr_spec for each in message["To"].addresses] == ["ana@example.com"]
    assert message.get_all("Bcc") is None
    assert len(message.keys()) == len({each.lower() for each in message})


@pytest.mark.parametrize(
    "word",
    [
        "=?utf-8?q?Ana=0d=0aBcc:_x=40example.net?=",
        "=?utf-8?b?YQ0KQmNjOiB4QGV2aWwuZXhhbXBsZQ==?=",
        "==??utf-8?q?=0d=0aBcc:_x?=",
    ],
)
def test_line_ends_in_encoded_words_begin_no_header(word: str) -> None:
    """The library decodes such words and writes what was in them."""
    email = a_mail(from_name=word, subject=f"Olá {word}")
    for account in (an_account(), an_account(from_name=word)):
        content = build(email, account, SENDING).content
        assert b"\nBcc" not in content
        assert parsed(content)["Subject"] == f"Olá {word.replace('=?', '= ?')}"


@pytest.mark.parametrize("name", ["from_name", "reply_to"])
def test_an_option_cannot_begin_a_header(name: str) -> None:
    """Configuration refuses line ends; were one to come through, no mail would be made of it."""
    account = an_account(**{name: "x@example.com\r\nBcc: y@example.net"})
    try:
        content = build(a_mail(), account, SENDING).content
    except ValueError:
        return
    assert parsed(content).get_all("Bcc") is None
