"""Mails that come in: what each is, and that none, however hostile, is more than unreadable."""

import time
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.email_sender.returns import own_address, read_own, stored_mail
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    InboundReply,
    StatusReceipt,
    UnreadableWebhookError,
    WebhookEvent,
)

REFERENCE = "0123456789abcdef0123456789abcdef-2-20261122-0123456789abcdef"
TO = f"r-{REFERENCE}@b.acme.example"
BOUNCE = f"b-{REFERENCE}@b.acme.example"


def read(content: str, *, to: str = TO, sender: str = "ana@example.com") -> Sequence[WebhookEvent]:
    body = stored_mail(sender, to, content.replace("\n", "\r\n").encode())
    events = read_own(body)
    assert events is not None
    return events


def receipt(content: str, **where: str) -> StatusReceipt:
    (event,) = read(content, **where)
    assert isinstance(event, StatusReceipt)
    assert event.our_reference == REFERENCE
    return event


def test_a_reply_names_its_contact_and_who_wrote() -> None:
    (event,) = read("From: Ana <Ana@Example.com>\nSubject: Re: x\nMessage-ID: <1@x>\n\nok\n")
    assert event == InboundReply(
        provider_ref="<1@x>",
        from_address="Ana@Example.com",
        to_address=TO,
        text="ok",
        our_reference=REFERENCE,
    )


@pytest.mark.parametrize("fold", [" x@y.example", "\tx@y.example", "  b-1@c"])
def test_a_mail_that_begins_folded_does_not_change_whom_it_came_to(fold: str) -> None:
    """Else who has one address of ours could answer in anybody's name."""
    (event,) = read(f"{fold}\nFrom: victim@example.net\n\nok\n")
    assert isinstance(event, InboundReply)
    assert (event.our_reference, event.to_address) == (REFERENCE, TO)


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "undefined", "unicode_escape", "zlib", "x" * 500, "utf-16"]
)
def test_no_charset_hides_a_wish_to_be_left_alone(charset: str) -> None:
    words = "SAIR" if charset != "utf-16" else ""
    (event,) = read(f"Subject: Re: x\nContent-Type: text/plain; charset={charset}\n\nSAIR\n")
    assert isinstance(event, InboundReply)
    assert event.text == words or charset == "utf-16"


def test_one_click_names_the_contact_alone() -> None:
    (event,) = read_own(f"One-Click {REFERENCE}-x-y".encode()) or ()
    assert isinstance(event, InboundReply)
    assert (event.button, event.from_address) == ("opt_out", "")
    assert event.our_reference == f"{REFERENCE}-x-y"


def test_what_is_a_providers_is_left_to_it() -> None:
    assert read_own(b'{"Type": "Notification"}') is None
    assert read_own(b"MessageSid=SM1") is None


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated (vacation)",
        "Precedence: bulk",
        "X-Autoreply: yes",
        "Subject: Out of office: Re: x",
        "Subject: =?utf-8?q?Resposta_autom=C3=A1tica?=: x",
    ],
)
def test_answering_machines_are_no_people(headers: str) -> None:
    event = receipt(f"From: ana@example.com\n{headers}\n\nVou pagar amanhã. STOP\n")
    assert (event.provider_word, event.state) == ("auto-replied", ContactState.DELIVERED)


def test_mail_without_a_return_path_is_a_machines() -> None:
    assert receipt("From: x@y.example\n\nSTOP\n", sender="").provider_word == "auto-replied"


REPORT = """Content-Type: multipart/report; report-type=delivery-status; boundary="x"
MIME-Version: 1.0

--x
Content-Type: text/plain

Sorry.
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ana@example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {diagnosis}

--x--
"""


@pytest.mark.parametrize(
    ("action", "status", "diagnosis", "state", "code", "error"),
    [
        ("failed", "5.1.1", "x", 70, "5.1.1", ErrorKind.RECIPIENT_INVALID),
        ("Failed (permanently)", "5.2.2", "x", 70, "5.2.2", ErrorKind.RECIPIENT_UNREACHABLE),
        (
            "failed",
            "5.0.0",
            "5.1.1 <a@b.example> unknown",
            70,
            "5.1.1",
            ErrorKind.RECIPIENT_INVALID,
        ),
        ("failed", "", "no such user", 70, None, ErrorKind.REJECTED),
        ("delayed", "4.4.1", "x", None, "4.4.1", None),
        ("delivered", "2.0.0", "x", 80, "2.0.0", None),
        ("relayed", "2.0.0", "x", 60, "2.0.0", None),
        ("teleported", "2.0.0", "x", None, "2.0.0", None),
    ],
)
def test_delivery_reports(
    action: str,
    status: str,
    diagnosis: str,
    state: int | None,
    code: str | None,
    error: ErrorKind | None,
) -> None:
    content = REPORT.format(action=action, status=status, diagnosis=diagnosis)
    event = receipt(content, to=BOUNCE, sender="")
    assert (event.state, event.code, event.error) == (state, code, error)
    assert event.provider_ref == f"{REFERENCE}@b.acme.example"


@pytest.mark.parametrize(
    ("words", "state", "code"),
    [
        ("Your mail could not be delivered: 550 5.1.1 unknown", 70, "5.1.1"),
        ("The address (#5.1.1) is unknown", 70, "5.1.1"),
        ("Status: 5.7.1", 70, "5.7.1"),
        ("Delayed, 4.4.7, will be tried again", None, None),
        ("5.1.1 <ana@example.com>: Recipient address rejected", 70, "5.1.1"),
        ("Ana Souza (5.1.1): caixa postal cheia, mailbox unknown", 70, "5.1.1"),
        ("The mail server said: error 550: 5.1.1", 70, "5.1.1"),
        ("Diagnostic: smtp; 5.1.1", 70, "5.1.1"),
        ("Remote server: 5.1.10 user does not exist", 70, "5.1.10"),
        ("Volto em 5.12.26; até lá, versão 5.1.1", None, None),
        ("5.1.26: novo endereço; user ana (5.2.26), mailbox: 5.3.2026", None, None),
        ("Fora até: 5.12.26, escreva a: recipient@x.example", None, None),
        ("5.1.1 é a versão\nnovo endereço: Rua 5", None, None),
        ("4.2.2 mailbox full; user will be tried again", None, None),
        ("Hello!", None, None),
    ],
)
def test_bounces_in_free_words(words: str, state: int | None, code: str | None) -> None:
    event = receipt(f"From: x@y.example\n\n{words}\n", to=BOUNCE, sender="")
    assert (event.provider_word, event.state, event.code) == ("bounce", state, code)


def test_an_answering_machine_that_writes_to_the_return_path_is_no_bounce() -> None:
    """RFC 3834 sends its answer there."""
    event = receipt("Subject: Resposta automática: x\n\nfora até 5.1.26\n", to=BOUNCE, sender="")
    assert (event.provider_word, event.state) == ("auto-replied", 80)


@pytest.mark.parametrize(("kind", "complained"), [("abuse", ""), ("fraud", ""), ("not-spam", None)])
def test_complaints(kind: str, complained: str | None) -> None:
    content = REPORT.replace("delivery-status", "feedback-report").format(
        action="x", status="x", diagnosis="x"
    )
    content = content.replace("Reporting-MTA: dns; mx.example\n", f"Feedback-Type: {kind}")
    event = receipt(content)
    assert (event.provider_word, event.complained_by) == (kind, complained)


@pytest.mark.parametrize(
    ("local", "purpose"),
    [
        (f"b-{REFERENCE}", "b"),
        (f"U-{REFERENCE.upper()}", "u"),
        (f"x-{REFERENCE}", None),
        (f"b-{REFERENCE}-extra", None),
        (f"b-{REFERENCE[:-1]}", None),
        ("", None),
    ],
)
def test_own_addresses(local: str, purpose: str | None) -> None:
    found = own_address(local)
    assert (found.purpose if found else None) == purpose
    assert found is None or found.reference == REFERENCE


HOSTILE = {
    "nothing": b"",
    "no headers": b"\r\n\r\n\r\n",
    "NUL": b"From: \x00\r\nSubject: \x00\r\n\r\n\x00",
    "charset": b"Content-Type: text/plain; charset=no-such\r\n\r\nok",
    "header charset": b"Subject: =?no-such?q?x?=\r\n\r\nok",
    "base64": b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\nx",
    "empty boundary": b"Content-Type: multipart/report; report-type=x; boundary=\r\n\r\n",
    "nested": b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(900)
    ),
    "param": b"Content-Type: multipart/report; report-type*0*=utf-8''%ff; boundary=x\r\n\r\n--x--",
    "from": b"From: " + b"<" * 5_000 + b"\r\n\r\nok",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("to", [TO, BOUNCE, "cobranca@acme.example"])
def test_hostile_mails_are_read_or_unreadable(content: bytes, to: str) -> None:
    with suppress(UnreadableWebhookError):
        assert read_own(stored_mail("ana@example.com", to, content))


@pytest.mark.parametrize("kind", ["multipart/mixed; boundary=%d", "message/rfc822"])
def test_no_nesting_takes_long(kind: str) -> None:
    """A mail is read in the loop that holds wait for."""
    levels = [f"Content-Type: {kind.replace('%d', str(n))}\r\n\r\n--{n}\r\n" for n in range(4_000)]
    for content in ("".join(levels), "".join(levels[:90])):
        began = time.process_time()
        with suppress(UnreadableWebhookError):
            read_own(stored_mail("", BOUNCE, content.encode()))
        assert time.process_time() - began < 0.5


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_unreadable(content: bytes) -> None:
    with suppress(UnreadableWebhookError):
        assert read_own(stored_mail("", BOUNCE, content))
