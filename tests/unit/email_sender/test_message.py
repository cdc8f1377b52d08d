"""Mails from tasks: what goes out, what is refused, and how hostile values end."""

from typing import Any

import pytest

from services.email_sender.message import (
    LINK,
    compose,
    html_of,
    is_address,
    one_line,
    text_of,
)
from shared.sender.errors import ErrorKind, PolicyRefusedError, RenderError
from tests.support.contacts import a_task
from tests.support.mail import a_mail_template

URL = "https://mail.example/unsubscribe/acme/mail/r?a=1&b=2"


def a_mail_task(**changes: Any) -> Any:
    return a_task(**({"channel": "email", "address": "ana@example.com"} | changes))


def test_a_mail_has_its_words_in_the_locale_of_the_task() -> None:
    email = compose(a_mail_task(), a_mail_template())
    assert email.subject == "Uma mensagem para Maria"
    assert text_of(email, URL).startswith("Olá Maria, sua fatura de R$ 120,00 venceu.")
    assert (email.language, email.segments) == ("pt-BR", 1)


@pytest.mark.parametrize(
    ("task", "template"),
    [({"content_class": "marketing"}, {}), ({}, {"content_class": "marketing"})],
)
def test_e_mail_is_for_reminders_only(task: dict[str, Any], template: dict[str, Any]) -> None:
    with pytest.raises(PolicyRefusedError) as caught:
        compose(a_mail_task(**task), a_mail_template(**template))
    assert caught.value.kind is ErrorKind.POLICY_REFUSED


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ({"texts": {"pt": "{unknown}"}}, "unknown"),
        ({"texts": {"en": "x"}}, "no text"),
        ({"subjects": {}}, "no subject"),
        ({"subjects": {"pt": "{unknown}"}}, "unknown"),
        ({"subjects": {"pt": "  "}}, "subject is empty"),
        ({"html": {"en": "x"}}, "no html"),
        ({"texts": {"pt": " \n"}}, "text is empty"),
        ({"texts": {"pt": "x" * 100_001}}, "more than"),
    ],
)
def test_what_is_missing_or_too_much_is_named(template: dict[str, Any], missing: str) -> None:
    with pytest.raises(RenderError, match=missing):
        compose(a_mail_task(), a_mail_template(**template))


@pytest.mark.parametrize(
    "address",
    [
        "", "ana", "ana@", "@example.com", "ana@example", "ana@@example.com", ".ana@example.com",
        "ana.@example.com", "a..b@example.com", "ana@example.com\r\nBcc: x@example.net",
        "ana@example.com,x@example.net", "<ana@example.com>", "ana@exa mple.com", "ána@example.com",
        "+5511987654321", "a" * 250 + "@example.com", '"a b"@example.com',
        "=?utf-8?q?=0d=0aBcc=3A_x=40example.net?=@example.com",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_naming_it(address: str) -> None:
    assert not is_address(address)
    with pytest.raises(RenderError) as caught:
        compose(a_mail_task(address=address), a_mail_template())
    assert not address or address not in str(caught.value)


HOSTILE = {
    "header injection": "Ana\r\nBcc: all@example.net\r\n\r\nHello",
    "encoded word": "=?utf-8?q?Ana=0d=0aBcc:_all=40example.net?=",
    "encoded in base64": "=?utf-8?b?YQ0KQmNjOiB4QGV2aWwuZXhhbXBsZQ==?=",
    "unicode line ends": "Ana\u2028Bcc: x\u2029\x85\x0b\x0c",
    "direction": "Ana\u202egnp.exe\u2066\u200f",
    "control": "A\x00n\x07a\x1b[31m",
    "template": "{amount} {{x}} {unsubscribe_url}",
    "link": f"{LINK}http://evil.example{LINK}",
    "html": '<script>alert(1)</script>"><img src=x onerror=1>',
    "long": "muito " * 100,
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_only_text(name: str) -> None:
    values = {"name": name, "amount": "R$ 1", "creditor_name": name}
    email = compose(a_mail_task(values=values), a_mail_template())
    for line in (email.subject, email.from_name):
        assert line.isprintable()
        assert len(line) <= 150
        assert "=?" not in line
    assert text_of(email, URL).count(URL) == 1  # the line that we added, whatever the name was
    markup = html_of(email, URL)
    assert markup is not None
    assert "<script" not in markup
    assert "<img" not in markup
    assert markup.count("<p>") == 2
    assert LINK not in text_of(email, URL) + markup + email.text


def test_every_mail_tells_how_to_stop_in_its_language() -> None:
    email = compose(a_mail_task(), a_mail_template())
    assert f"Para não receber mais e-mails sobre este assunto: {URL}" in text_of(email, URL)
    markup = html_of(email, URL) or ""
    assert f'<a href="{URL.replace("&", "&amp;")}">' in markup
    assert markup.endswith("</body>")
    assert URL not in email.text
    assert "[…]" in email.text


def test_a_template_may_place_the_link_itself() -> None:
    placed = a_mail_template(texts={"pt": "Sair: {unsubscribe_url}."}, html={})
    email = compose(a_mail_task(), placed)
    assert text_of(email, URL) == f"Sair: {URL}."
    assert html_of(email, URL) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [("  a \t b\r\nc ", "a b c"), ("x" * 20, "x" * 10), ("\u202e", ""), ("名前 👍", "名前 👍")],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text, 10) == line
