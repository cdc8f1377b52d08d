"""Who may be written to for whom, asked once more before the provider."""

from typing import Any

import pytest

from services.whatsapp_sender.gate import forbidden
from shared.events.configuration import Portfolio, SenderAccount
from tests.support.contacts import a_task


def a_portfolio(**changes: Any) -> Portfolio:
    fields: dict[str, Any] = {
        "creditor_name": "Loja",
        "collector_role": "first_party",
        "country": "BR",
        "currency": "BRL",
        "locale": "pt-BR",
        "ladder_id": "l",
        "accounts": {},
        "packs": (),
    }
    return Portfolio(**(fields | changes))


def an_account(**changes: Any) -> SenderAccount:
    fields: dict[str, Any] = {
        "channel": "whatsapp",
        "provider": "meta",
        "sender": "+551140000000",
        "rate_per_second": 80.0,
        "credentials": {},
    }
    return SenderAccount(**(fields | changes))


@pytest.mark.parametrize(
    ("portfolio", "account", "task", "rule"),
    [
        ({}, {}, {}, None),
        ({"collector_role": "third_party"}, {}, {}, "attestation_missing"),
        (
            {"collector_role": "third_party", "whatsapp_attestation": " "},
            {},
            {},
            "attestation_missing",
        ),
        ({"collector_role": "third_party", "whatsapp_attestation": "2026-11-01 J."}, {}, {}, None),
        ({}, {"roles": ("third_party",)}, {}, "account_not_for_role"),
        ({}, {"countries": ("US",)}, {}, "account_not_for_country"),
        ({}, {"countries": ("BR",)}, {}, None),
        ({}, {}, {"content_class": "marketing"}, None),
        ({"country": "US"}, {}, {"content_class": "marketing"}, None),  # the number decides
        (
            {},
            {},
            {"content_class": "marketing", "address": "+12025550143"},
            "marketing_refused_in_country",
        ),
        ({"country": "US"}, {}, {"address": "+12025550143"}, None),
        ({"country": "BR"}, {}, {"content_class": "marketing", "address": "+16135550143"}, None),
        (
            {"country": "US"},
            {},
            {"content_class": "marketing", "address": "US.123"},
            "marketing_refused_in_country",
        ),
    ],
)
def test_forbidden(
    portfolio: dict[str, Any], account: dict[str, Any], task: dict[str, Any], rule: str | None
) -> None:
    assert forbidden(a_task(**task), a_portfolio(**portfolio), an_account(**account)) == rule
