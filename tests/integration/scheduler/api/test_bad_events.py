"""Bad input at the events' door: each refused with a problem that names field and remedy."""

import json
from typing import Any

import pytest

from tests.support.scheduler import Doors, a_registration, an_event

SINGLE = {"content-type": "application/cloudevents+json"}
NOTHING_RECORDED = "SELECT (SELECT count(*) FROM intake_event) + (SELECT count(*) FROM identity)"

# What is wrong with a registration, the field its problem names, and the change that makes it so.
BAD_REGISTRATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("amount as float", "$.data.principal", {"principal": 1120.5}),
    ("amount as integer", "$.data.principal", {"principal": 1120}),
    ("negative amount", "$.data.principal", {"principal": "-5.00"}),
    ("zero amount", "$.data.principal", {"principal": "0.00"}),
    ("huge amount", "$.data.principal", {"principal": "99999999999999.00"}),
    ("endless amount", "$.data.principal", {"principal": "9" * 400}),
    ("amount in words", "$.data.principal", {"principal": "NaN"}),
    ("exponent", "$.data.principal", {"principal": "1e400"}),
    ("arabic digits", "$.data.principal", {"principal": "١١٢٠.00"}),
    ("too few decimals", "$.data.principal", {"principal": "1120"}),
    ("too many decimals", "$.data.principal", {"principal": "1120.001"}),
    ("unknown currency", "$.data.currency", {"currency": "XXX"}),
    ("lower-case currency", "$.data.currency", {"currency": "brl"}),
    ("not the portfolio's currency", "$.data.currency", {"currency": "USD"}),
    ("date of year 1", "$.data.due_date", {"due_date": "0001-01-01"}),
    ("date of year 9999", "$.data.due_date", {"due_date": "9999-12-31"}),
    ("no such day", "$.data.due_date", {"due_date": "2026-02-30"}),
    ("date with a time", "$.data.due_date", {"due_date": "2026-02-20T00:00:00Z"}),
    ("empty reference", "$.data.debt_ref", {"debt_ref": ""}),
    ("endless reference", "$.data.debt_ref", {"debt_ref": "x" * 256}),
    ("invisible character in a reference", "$.data.debtor_ref", {"debtor_ref": "P\u200b-1"}),
    ("NUL in a reference", "$.data.debtor_ref", {"debtor_ref": "P\u0000"}),
    ("null reference", "$.data.debtor_ref", {"debtor_ref": None}),
    ("unknown portfolio", "$.data.portfolio_id", {"portfolio_id": "nobodys"}),
    ("unknown field", "$.data.amount_due", {"amount_due": "1.00"}),
    ("masked document", "$.data.document", {"document": "***.982.247-**"}),
    ("placeholder document", "$.data.document", {"document": "000.000.000-00"}),
    ("negative stage", "$.data.stage", {"stage": -1}),
    (
        "history in the future",
        "$.data.past_contacts[0].at",
        {"past_contacts": [{"channel": "sms", "at": "2099-01-01T00:00:00Z"}]},
    ),
    (
        "huge array",
        "$.data.past_contacts",
        {"past_contacts": [{"channel": "sms", "at": "2026-01-01T00:00:00Z"}] * 100_000},
    ),
]

BAD_DEBTORS: list[tuple[str, str, dict[str, Any]]] = [
    ("override in a name", "name", {"name": "Ana\u202eazuoS"}),
    ("line end in a name", "name", {"name": "Ana\r\nSouza"}),
    ("unknown kind", "kind", {"kind": "robot"}),
    ("unknown zone", "places[0].zone", {"places": [{"country": "BR", "zone": "America/Lapa"}]}),
    ("file that is no zone", "places[0].zone", {"places": [{"country": "BR", "zone": "Factory"}]}),
    ("path as zone", "places[0].zone", {"places": [{"country": "BR", "zone": "../../etc/passwd"}]}),
    ("unknown country", "places[0].country", {"places": [{"country": "ZZ"}]}),
    (
        "subdivision of another country",
        "places[0].subdivision",
        {"places": [{"country": "BR", "subdivision": "US-CA"}]},
    ),
    (
        "unknown channel",
        "contact_points[0].channel",
        {"contact_points": [{"channel": "fax", "address": "1"}]},
    ),
    (
        "naive consent",
        "contact_points[0].consent_at",
        {
            "contact_points": [
                {
                    "channel": "sms",
                    "address": "+5511987654321",
                    "consent_at": "2026-01-01T00:00:00",
                }
            ]
        },
    ),
]
PHONES = [
    "+55",
    "+00 11 98765 4321",
    "+5511987",
    "1" * 30,
    "+55119876\u200b54321",
    "\u202e+5511987654321",
    "+5511987654321\r\nBcc: x",
    "+1 900 555 0100 ext. 2",
    "not a phone",
]
EMAILS = [
    "ana",
    "ana@",
    "@example.com",
    "ana@localhost",
    "ana@example.com\r\nBcc: all@example.com",
    "a\u200bna@example.com",
    "ana@exam\u202eple.com",
    "ana souza@example.com",
    '"ana"@example.com',
    "ana..souza@example.com",
    f"{'a' * 65}@example.com",
]


@pytest.mark.parametrize(
    ("field", "change"),
    [pytest.param(field, change, id=name) for name, field, change in BAD_REGISTRATIONS],
)
async def test_a_bad_registration_is_refused_naming_the_field(
    door: Doors, field: str, change: dict[str, Any]
) -> None:
    answer = await door.post(a_registration(**change))

    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert error["remedy"]
    assert await door.pool.fetchval(NOTHING_RECORDED) == 0


@pytest.mark.parametrize(
    ("field", "change"),
    [pytest.param(field, change, id=name) for name, field, change in BAD_DEBTORS],
)
async def test_a_bad_debtor_is_refused_naming_the_field(
    door: Doors, field: str, change: dict[str, Any]
) -> None:
    answer = await door.post(a_registration(debtor=change))

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == f"$.data.debtor.{field}"
    assert await door.published() == []


async def test_bad_addresses_are_refused_and_never_repeated(door: Doors) -> None:
    points = [("sms", phone) for phone in PHONES] + [("email", email) for email in EMAILS]
    events = [
        a_registration(n, debtor={"contact_points": [{"channel": channel, "address": address}]})
        for n, (channel, address) in enumerate(points)
    ]

    answer = await door.batch(events)

    results = answer.json()["results"]
    refused = [one for one in results if one["status"] == "refused"]
    assert [points[one["index"]] for one in results if one not in refused] == []
    fields = {one["problem"]["errors"][0]["field"] for one in refused}
    assert fields == {"$.data.debtor.contact_points[0].address"}
    for _, address in points:
        assert address not in json.dumps([one["problem"] for one in refused])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        pytest.param("$.id", {"id": ""}, id="empty id"),
        pytest.param("$.id", {"id": "x" * 256}, id="endless id"),
        pytest.param("$.id", {"id": 1}, id="id as number"),
        pytest.param("$.source", {"source": ""}, id="empty source"),
        pytest.param("$.time", {"time": "2026-03-02T14:00:00"}, id="naive time"),
        pytest.param("$.time", {"time": "yesterday"}, id="time in words"),
        pytest.param("$.time", {"time": "2099-01-01T00:00:00Z"}, id="time in the future"),
        pytest.param("$.time", {"time": "0001-01-01T00:00:00Z"}, id="time of year 1"),
        pytest.param("$.type", {"type": "debt.exploded"}, id="unknown type"),
        pytest.param("$.type", {"type": "contact.accepted"}, id="a fact of ours"),
        pytest.param("$.specversion", {"specversion": "0.3"}, id="old norm"),
        pytest.param("$.data_base64", {"data_base64": "e30="}, id="data as base64"),
    ],
)
async def test_a_bad_envelope_is_refused_naming_the_attribute(
    door: Doors, field: str, change: dict[str, Any]
) -> None:
    answer = await door.post(a_registration() | change)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("debt.updated", {"debt_ref": "D", "principal": "1.00"}, "$.data.currency"),
        (
            "debt.payment_received",
            {"debt_ref": "D", "amount": "1.00", "currency": "BRL", "principal": "2.00"},
            "$.data.amount",
        ),
        (
            "debt.payment_received",
            {"debt_ref": "D", "amount": "1.00", "currency": "BRL", "paid_at": "2026-03-02T10:00"},
            "$.data.paid_at",
        ),
        (
            "debt.agreement_made",
            {"debt_ref": "D", "currency": "BRL", "instalments": []},
            "$.data.instalments",
        ),
        (
            "debt.promise_made",
            {"debt_ref": "D", "amount": "10", "currency": "BRL", "due_date": "2026-04-01"},
            "$.data.amount",
        ),
        (
            "debtor.consent_changed",
            {"debtor_ref": "P", "state": "revoked", "origin": "web", "address": "+5511987654321"},
            "$.data.channel",
        ),
        (
            "debtor.consent_changed",
            {
                "debtor_ref": "P",
                "state": "revoked",
                "origin": "web",
                "channel": "sms",
                "address": "11987654321",
            },
            "$.data.address",
        ),
        (
            "contact.recorded",
            {"channel": "voice", "at": "2026-03-01T10:00:00Z", "outcome": "answered"},
            "$.data.debt_ref",
        ),
        ("debtor.merged", {"debtor_ref": "P"}, "$.data.into_debtor_ref"),
        ("debtor.merged", {"debtor_ref": "P", "into_debtor_ref": "P"}, "$.data.into_debtor_ref"),
        ("debt.dispute_resolved", {"debt_ref": "D", "outcome": "maybe"}, "$.data.outcome"),
    ],
)
async def test_other_bad_events_name_their_field(
    door: Doors, kind: str, data: dict[str, Any], field: str
) -> None:
    answer = await door.post(an_event(kind, data))

    assert answer.status_code in (409, 422), answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [("JPY", "1120", 1120), ("BRL", "1120.00", 112_000), ("KWD", "1.125", 1125)],
)
async def test_amounts_have_their_currencys_decimals(
    door: Doors, currency: str, amount: str, minor: int
) -> None:
    portfolio = (await door.call("GET", "/v1/config/portfolio/cards")).json()["body"]
    await door.call("PUT", "/v1/config/portfolio/here", json=portfolio | {"currency": currency})

    answer = await door.post(
        a_registration(portfolio_id="here", currency=currency, principal=amount)
    )

    assert answer.status_code == 202, answer.text
    [(_, event)] = await door.published()
    assert event.principal == minor  # type: ignore[attr-defined]


async def test_national_numbers_are_read_in_the_portfolios_country(door: Doors) -> None:
    point = {"channel": "sms", "address": "(11) 98765-4321"}

    await door.post(a_registration(debtor={"contact_points": [point]}))

    [(_, event)] = await door.published()
    assert event.debtor.contact_points[0].address == "+5511987654321"  # type: ignore[attr-defined]
