"""Whatever is posted, the parser answers with drafts or problems, and repeats no value."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.intake import parse
from services.scheduler.intake.draft import Sender
from services.scheduler.intake.shapes import CLIENT_SHAPES
from shared.events.configuration import Portfolio
from shared.events.debt import DEBT_EVENT_TYPES, INTERNAL_TYPES
from shared.http.problems import Problem
from tests.support.scheduler import PORTFOLIO, a_registration, an_event

CANARY = "c4n4ry@5511999998888"
SENDER = Sender(
    tenant_id="acme",
    latest=datetime(2026, 3, 3, tzinfo=UTC),
    portfolio=lambda name: msgspec.convert(PORTFOLIO, Portfolio) if name == "cards" else None,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def parsed(event: Any) -> parse.Parsed:
    [one] = parse.structured(json.dumps(event).encode(), SENDER, lambda: "trace")
    return one


def test_every_debt_event_type_has_a_client_shape() -> None:
    assert set(CLIENT_SHAPES) == set(DEBT_EVENT_TYPES) - INTERNAL_TYPES


@settings(deadline=None)
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_answered_with_problems(body: bytes) -> None:
    for read in (parse.structured, parse.batch, parse.ndjson):
        try:
            found = read(body, SENDER, lambda: "trace")
        except Problem:
            continue
        assert all(one.draft is None and one.problem is not None for one in found)


@settings(deadline=None)
@given(st.sampled_from(sorted(CLIENT_SHAPES)), st.dictionaries(st.text(max_size=12), json_values))
def test_any_data_is_answered(kind: str, data: dict[str, Any]) -> None:
    one = parsed(an_event(kind, data))

    assert (one.draft is None) != (one.problem is None)


@settings(deadline=None)
@given(st.sampled_from(sorted(a_registration()["data"])), json_values)
def test_any_value_in_any_field_is_answered(field: str, value: Any) -> None:
    one = parsed(a_registration(**{field: value}))

    assert (one.draft is None) != (one.problem is None)


@pytest.mark.parametrize(
    "change",
    [
        {name: value}
        for name in ("principal", "currency", "due_date", "portfolio_id", "document", "stage")
        for value in (CANARY, [CANARY], {"x": CANARY})
    ]
    + [
        {CANARY: 1},
        {"debtor": {CANARY: 1}},
        {"debtor": {"kind": CANARY}},
        {"debtor": {"places": [{"country": "BR", "zone": CANARY}]}},
        {"debtor": {"contact_points": [{"channel": "sms", "address": CANARY}]}},
        {"debtor": {"contact_points": [{"channel": CANARY, "address": "+5511987654321"}]}},
        {"debtor": {"name": f"{CANARY}\u202e"}},
    ],
)
def test_a_problem_never_repeats_what_was_sent(change: dict[str, Any]) -> None:
    one = parsed(a_registration(**change))

    assert one.problem is not None
    said = json.dumps(msgspec.to_builtins(one.problem.body())) + str(one.problem)
    assert CANARY not in said
    assert "5511999998888" not in said


def test_the_same_event_written_otherwise_has_the_same_hash() -> None:
    event = a_registration(id="one")
    first = parse.structured(json.dumps(event).encode(), SENDER, lambda: "a")
    again = parse.structured(
        json.dumps(dict(reversed(event.items())), indent=2).encode(), SENDER, lambda: "b"
    )
    other = parse.structured(
        json.dumps(event | {"time": "2026-03-02T17:00:01Z"}).encode(), SENDER, lambda: "a"
    )

    hashes = [one.draft.body_hash for (one,) in (first, again, other) if one.draft]
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_instant_is_the_same_in_any_zone() -> None:
    here = parsed(a_registration(id="one") | {"time": "2026-03-02T14:00:00-03:00"})
    there = parsed(a_registration(id="one") | {"time": "2026-03-02T17:00:00Z"})

    assert here.draft is not None
    assert there.draft is not None
    assert here.draft.body_hash == there.draft.body_hash
