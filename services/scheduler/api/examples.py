"""Examples of what this service takes, for /openapi.json: the bodies that a newcomer posts first.

In: nothing. Out: examples by name. A test decodes each with the struct that takes it, and posts
it: an example that a release refuses does not ship.
"""

import json
from typing import Any

from shared.http.operations import Example

Json = dict[str, Any]

SOURCE = "/billing"
DEBT = {"debt_ref": "inv-1001"}
DEBTOR = {"debtor_ref": "cust-77"}
MONEY = {"amount": "1120.00", "currency": "BRL"}

# One for each type that clients may post, in the order of a debt's life.
DATA: dict[str, Json] = {
    "debt.registered": {
        "portfolio_id": "varejo-br",
        **DEBT,
        **DEBTOR,
        "debtor": {
            "name": "Ana Souza",
            "locale": "pt-BR",
            "places": [{"country": "BR", "subdivision": "SP", "zone": "America/Sao_Paulo"}],
            "contact_points": [
                {"channel": "sms", "address": "+5511987654321"},
                {"channel": "whatsapp", "address": "+5511987654321", "consent": "granted"},
                {"channel": "email", "address": "ana@example.com"},
            ],
        },
        "principal": "1120.00",
        "currency": "BRL",
        "due_date": "2027-02-24",
    },
    "debt.updated": DEBT | {"interest": "12.50", "currency": "BRL"},
    "debt.promise_made": DEBT | MONEY | {"due_date": "2027-03-05", "channel": "voice"},
    "debt.promise_cancelled": DEBT | {"promise_id": "promise-1"},
    "debt.agreement_made": DEBT
    | {
        "currency": "BRL",
        "instalments": [
            {"amount": "560.00", "due_date": "2027-03-10"},
            {"amount": "560.00", "due_date": "2027-04-10"},
        ],
    },
    "debt.disputed": DEBT | {"reason": "not_my_debt"},
    "debt.dispute_resolved": DEBT | {"outcome": "upheld"},
    "debt.payment_received": DEBT | MONEY | {"paid_at": "2027-03-01T09:15:00-03:00"},
    "debt.payment_reversed": DEBT | {"payment_id": "pay-1"},
    "debt.cancelled": DEBT | {"reason": "withdrawn"},
    "debtor.updated": DEBTOR | {"debtor": {"name": "Ana Souza Lima"}},
    "debtor.merged": {"debtor_ref": "cust-78", "into_debtor_ref": "cust-77"},
    "debtor.consent_changed": DEBTOR
    | {"state": "revoked", "channel": "whatsapp", "origin": "call_centre"},
    "debtor.hold_placed": DEBTOR | {"reason": "attorney"},
    "debtor.hold_lifted": DEBTOR | {"reason": "attorney"},
    "debtor.erasure_requested": DEBTOR,
    "contact.recorded": DEBT
    | {"channel": "voice", "at": "2027-03-01T10:00:00-03:00", "outcome": "right_party"},
}
HOLDS = {
    "debtor": Example(
        summary="a person who has an attorney",
        value={
            "scope": "debtor",
            "debtor_id": "5b1f0a52-6a4e-4a52-9c1e-0d5d6f3e7a10",
            "reason": "attorney",
        },
    ),
    "address": Example(
        summary="one address, on one channel",
        value={
            "scope": "address",
            "channel": "sms",
            "address": "+5511987654321",
            "reason": "wrong_person",
        },
    ),
}
STOPS = {
    "tenant": Example(summary="everything of this tenant", value={"scope": "tenant"}),
    "channel": Example(
        summary="one channel, for an hour",
        value={"scope": "channel", "channel": "email", "until": "2027-03-01T12:00:00-03:00"},
    ),
}
EXPLAIN = {
    "debt": Example(summary="by the client's reference", value=DEBT),
    "later": Example(
        summary="at another instant of law time",
        value=DEBTOR | {"at": "2027-03-02T09:00:00-03:00"},
    ),
}
DECISION = {
    "waive": Example(
        summary="a mandatory step need not be taken",
        value={"decision": "waive", "note": "delivered by hand"},
    ),
}
CLOCK = {
    "monday": Example(
        summary="a Monday, 08:30 in São Paulo", value={"law_now": "2027-03-01T08:30:00-03:00"}
    ),
}
KEY = {
    "client": Example(
        summary="a key for a billing system",
        value={"tenant_id": "acme", "label": "billing", "scopes": ["events:write"]},
    ),
}
LADDER = """ladder: reminder-only
version: 1
steps:
  - key: d1
    offset_days: 1
    stage: reminder
    channels: [sms]
    templates: {sms: reminder}
"""
CONFIG = {
    "tenant": Example(summary="kind tenant", value={"name": "Casa Aurora"}),
    "account": Example(
        summary="kind account: its secrets are references",
        value={
            "channel": "sms",
            "provider": "twilio",
            "sender": "+15005550006",
            "rate_per_second": 10,
            "credentials": {
                "account_sid": "AC00000000000000000000000000000000",
                "auth_token": "file:/run/secrets/acme/twilio_token",
            },
        },
    ),
    "template": Example(
        summary="kind template",
        value={
            "channel": "sms",
            "content_class": "utility",
            "texts": {"pt-BR": "{first_name}, {amount} vence em {due_date}. {opt_out}"},
        },
    ),
    "ladder": Example(summary="kind ladder: YAML as text", value={"text": LADDER}),
    "portfolio": Example(
        summary="kind portfolio",
        value={
            "creditor_name": "Casa Aurora",
            "collector_role": "first_party",
            "country": "BR",
            "currency": "BRL",
            "locale": "pt-BR",
            "ladder_id": "reminder-only",
            "accounts": {"sms": "main"},
            "packs": [],
            "zone": "America/Sao_Paulo",
        },
    ),
}


def event(kind: str) -> Json:
    """Return an event of this type in structured form."""
    return {
        "specversion": "1.0",
        "id": f"{kind}-1",
        "source": SOURCE,
        "type": kind,
        "time": "2027-03-01T08:00:00-03:00",
        "data": DATA[kind],
    }


def events() -> dict[str, Example]:
    """Return one event of each type."""
    return {kind: Example(summary=kind, value=event(kind)) for kind in DATA}


def batch() -> dict[str, Example]:
    """Return a batch."""
    both = [event("debt.registered"), event("debt.promise_made")]
    return {"two": Example(summary="a debt and a promise on it", value=both)}


def binary() -> dict[str, Example]:
    """Return the data of an event whose attributes are headers."""
    kind = "debt.promise_made"
    return {kind: Example(summary=f"with `ce-type: {kind}`", value=DATA[kind])}


def lines() -> dict[str, Example]:
    """Return lines of text."""
    text = "".join(json.dumps(event(kind)) + "\n" for kind in ("debt.registered", "debt.updated"))
    return {"two": Example(summary="a debt and its new interest", value=text)}
