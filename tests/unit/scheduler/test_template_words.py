"""A broken template is refused when it is stored, by the field that is broken."""

from typing import Any

import pytest

from services.scheduler.message_checks import check_template
from shared.events.configuration import Template
from shared.http.problems import Problem

WHATSAPP: dict[str, Any] = {
    "channel": "whatsapp",
    "texts": {"pt-BR": "{first_name}: {amount}", "es": "{amount}, {first_name}"},
    "provider_name": "notice",
    "provider_locales": {"pt-BR": "pt_BR", "es": "es"},
    "parameters": ("first_name", "amount"),
}
EMAIL: dict[str, Any] = {
    "channel": "email",
    "texts": {"pt-BR": "{first_name}: {amount} {unsubscribe_url}"},
    "subjects": {"pt-BR": "Mensagem de {creditor_name}"},
}


def check(base: dict[str, Any], **changes: Any) -> None:
    check_template(Template(**({"content_class": "utility"} | base | changes)))


@pytest.mark.parametrize("base", [WHATSAPP, EMAIL])
def test_the_plain_forms_are_taken(base: dict[str, Any]) -> None:
    check(base)


@pytest.mark.parametrize(
    ("base", "changes", "field"),
    [
        ({"channel": "sms"}, {"texts": {"pt-BR": "Olá {first_name"}}, "texts.pt-BR"),
        ({"channel": "sms"}, {"texts": {"pt-BR": "Olá {first_name!r}"}}, "texts.pt-BR"),
        ({"channel": "sms"}, {"texts": {"pt-BR": "Olá {nome}"}}, "texts.pt-BR"),
        ({"channel": "sms"}, {"texts": {"pt-BR": "{unsubscribe_url}"}}, "texts.pt-BR"),
        (EMAIL, {"html": {"pt-BR": "<p>{amount</p>"}}, "html.pt-BR"),
        (EMAIL, {"subjects": {"pt-BR": "Sua dívida"}}, "subjects.pt-BR"),
        (EMAIL, {"subjects": {"pt-BR": "You are past due"}}, "subjects.pt-BR"),
        (WHATSAPP, {"parameters": ("first_name",)}, "parameters"),
        (WHATSAPP, {"parameters": ("first_name", "amount", "count")}, "parameters"),
        (WHATSAPP, {"parameters": ("first_name", "amount", "amount")}, "parameters"),
        (WHATSAPP, {"provider_locales": {"pt-BR": "pt_BR"}}, "provider_locales"),
    ],
)
def test_a_broken_one_is_refused_naming_its_field(
    base: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Problem) as refused:
        check(base, **changes)
    [error] = refused.value.errors
    assert error.field == field
    assert error.remedy
