"""Templates and sender accounts before they are stored: each mistake is named with its field."""

from typing import Any

import pytest

from services.scheduler.message_checks import check_account, check_template
from shared.events.configuration import Button, SenderAccount, Template
from shared.http.problems import Problem


def a_template(**changes: Any) -> Template:
    fields: dict[str, Any] = {
        "channel": "email",
        "content_class": "utility",
        "texts": {"pt-BR": "Olá {first_name}", "en": "Hi"},
        "subjects": {"pt-BR": "Mensagem de {creditor_name}", "en": "A message"},
        "html": {"en": "<p>Hi</p>"},
    }
    return Template(**(fields | changes))


def an_account(**changes: Any) -> SenderAccount:
    fields: dict[str, Any] = {
        "channel": "email",
        "provider": "smtp",
        "sender": "cobranca@acme.example",
        "rate_per_second": 10.0,
        "credentials": {"password": "file:/run/secrets/acme/smtp"},
        "base_url": "smtp://relay.example:587",
        "options": {"bounce_domain": "b.acme.example"},
        "pair_rate_per_minute": 1.0,
        "day_limit": 1_000,
    }
    return SenderAccount(**(fields | changes))


def fields_of(problem: Problem) -> list[str]:
    return [each.field for each in problem.errors]


def test_good_ones_are_taken() -> None:
    check_template(a_template())
    check_template(a_template(channel="sms", texts={"pt": "x"}, subjects={}, html={}))
    buttons = (Button(kind="promise", titles={"pt": "Prometo pagar"}),)
    check_template(
        a_template(
            channel="whatsapp",
            texts={"pt-BR": "{first_name}: {amount}"},
            subjects={},
            html={},
            provider_name="reminder_1",
            provider_locales={"pt-BR": "pt_BR"},
            parameters=("first_name", "amount"),
            buttons=buttons,
        )
    )
    check_account(an_account(), sandbox=False)
    check_account(an_account(base_url=None), sandbox=False)


A_BAD_NAME = {
    "channel": "whatsapp",
    "texts": {"pt-BR": "Olá"},
    "subjects": {},
    "html": {},
    "provider_name": "a b",
    "provider_locales": {"pt-BR": "pt_BR"},
}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"content_class": "marketing"}, "content_class"),
        ({"subjects": {}}, "subjects"),
        ({"subjects": {"pt-BR": "x"}}, "subjects"),
        ({"subjects": {"pt-BR": "x\r\nBcc: y", "en": "x"}}, "subjects.pt-BR"),
        ({"subjects": {"pt-BR": "x\u202e", "en": "x"}}, "subjects.pt-BR"),
        ({"subjects": {"pt-BR": "Deve {amount}", "en": "x"}}, "subjects.pt-BR"),
        ({"subjects": {"pt-BR": "x" * 151, "en": "x"}}, "subjects.pt-BR"),
        ({"html": {"es": "x"}}, "html"),
        ({"html": {"en": " "}}, "html.en"),
        ({"texts": {"en": "x" * 20_001}, "subjects": {"en": "x"}}, "texts.en"),
        ({"channel": "sms"}, "subjects"),
        ({"channel": "sms", "subjects": {}}, "html"),
        (
            A_BAD_NAME,
            "provider_name",
        ),
        ({"provider_locales": {"pt-BR": "x y"}}, "provider_locales.pt-BR"),
        ({"parameters": ("ok", "Not Ok")}, "parameters[1]"),
        ({"buttons": (Button(kind="buy", titles={"pt": "x"}),)}, "buttons[0].kind"),
        ({"buttons": (Button(kind="pay", titles={}),)}, "buttons[0].titles"),
        ({"buttons": (Button(kind="pay", titles={"pt": "x" * 21}),)}, "buttons[0].titles.pt"),
        ({"buttons": (Button(kind="pay", titles={"pt": "x"}),) * 2}, "buttons[0].kind"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_template_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        check_template(a_template(**changes))
    assert fields_of(caught.value) == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sender": "cobranca"}, "sender"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "sender"),
        ({"base_url": "smtp://user:secret@relay.example"}, "base_url"),
        ({"base_url": "http://relay.example"}, "base_url"),
        ({"base_url": "smtp://relay.example:0"}, "base_url"),
        ({"channel": "sms", "base_url": "smtp://relay.example"}, "base_url"),
        ({"credentials": {"password": "plain-secret"}}, "credentials.password"),
        ({"options": {"Reply To": "x"}}, "options"),
        ({"options": {"reply_to": "x\ny"}}, "options.reply_to"),
        ({"options": {f"o{n}": "x" for n in range(21)}}, "options"),
        ({"pair_rate_per_minute": 0.0}, "pair_rate_per_minute"),
        ({"pair_rate_per_minute": 0.0006}, "pair_rate_per_minute"),  # rarer than once a day
        ({"day_limit": 0}, "day_limit"),
        ({"rate_per_second": float("nan")}, "rate_per_second"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_account_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        check_account(an_account(**changes), sandbox=False)
    assert fields_of(caught.value) == [field]
    assert "plain-secret" not in str(caught.value)
