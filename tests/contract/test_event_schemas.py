"""Events against their checked-in schemas: current, valid, and readable across versions.

Every type is tried with samples drawn from its own struct: what we write obeys the snapshot; a
record with fields added later is read by today's code; a change that would break a reader is
recognised as one.
"""

import copy
import json
import random
import types
import typing
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import jsonschema
import msgspec
import pytest

from shared.events import schemas
from shared.events.contact import CONTACT_FACT_TYPES, TASK_TYPES
from shared.events.debt import DEBT_EVENT_TYPES
from shared.events.envelope import Envelope, UnreadableEvent, decode, encode
from shared.events.handoff import HANDOFF_TYPES
from shared.events.hold import HOLD_TYPES
from shared.events.states import STATE_AFTER

EVENTS: dict[str, type[msgspec.Struct]] = {
    **DEBT_EVENT_TYPES,
    **CONTACT_FACT_TYPES,
    **TASK_TYPES,
    **HANDOFF_TYPES,
    **HOLD_TYPES,
}
ALL_TYPES = schemas.event_types()


def a_value(shape: Any, seed: random.Random, *, full: bool) -> Any:
    """Draw a value of a field's type; `full` fills optional fields, else they keep defaults."""
    origin, args = get_origin(shape), get_args(shape)
    if origin in (Union, types.UnionType):
        chosen = next(each for each in args if each is not type(None))
        return a_value(chosen, seed, full=full) if full else None
    if origin is tuple:
        return tuple(a_value(args[0], seed, full=full) for _ in range(2))
    if origin is dict:
        return {"key": a_value(args[1], seed, full=full)}
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return a_struct(shape, seed, full=full)
    makers: dict[Any, Callable[[], Any]] = {
        str: lambda: f"text-{seed.randrange(1_000)} çã",
        int: lambda: seed.randrange(1_000_000),
        float: lambda: seed.randrange(1_000) / 4,
        bool: lambda: True,
        UUID: lambda: UUID(int=seed.getrandbits(128), version=4),
        datetime: lambda: datetime(2026, 3, 2, 12, seed.randrange(60), tzinfo=UTC),
        date: lambda: date(2026, 3, 1 + seed.randrange(28)),
        msgspec.Raw: lambda: msgspec.Raw(b'{"any":1}'),
    }
    return makers[shape]()


def seeded(event_type: str) -> random.Random:
    return random.Random(event_type)  # noqa: S311 - samples, not secrets


def a_struct(shape: type[msgspec.Struct], seed: random.Random, *, full: bool) -> msgspec.Struct:
    hints = typing.get_type_hints(shape)
    given = {
        field.name: a_value(hints[field.name], seed, full=full)
        for field in msgspec.structs.fields(shape)
        if full or field.required
    }
    return shape(**given)


def extended(value: Any) -> Any:
    """Add a field that nobody knows to every object."""
    if isinstance(value, dict):
        return {key: extended(each) for key, each in value.items()} | {"added_later": {"x": [1]}}
    if isinstance(value, list):
        return [extended(each) for each in value]
    return value


def snapshot(event_type: str) -> schemas.Schema:
    loaded: schemas.Schema = json.loads(schemas.path_of(event_type).read_text())
    return loaded


def test_the_snapshots_are_current_and_complete() -> None:
    current = schemas.current()
    assert set(schemas.FOLDER.glob("*.json")) == set(current), "run `make schemas`"
    stale = [path.name for path, text in current.items() if path.read_text() != text]
    assert stale == [], "run `make schemas`"


@pytest.mark.parametrize("event_type", sorted(ALL_TYPES))
def test_a_snapshot_is_a_valid_schema(event_type: str) -> None:
    jsonschema.Draft202012Validator.check_schema(snapshot(event_type))
    assert snapshot(event_type)["$id"] == f"urn:regua:event:{event_type}"


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_what_is_written_obeys_the_snapshot_and_reads_back(event_type: str, *, full: bool) -> None:
    sample = a_struct(EVENTS[event_type], seeded(event_type), full=full)
    checker = jsonschema.Draft202012Validator(
        snapshot(event_type), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    written = encode(sample)
    checker.validate(json.loads(written))
    assert decode(written, EVENTS[event_type]) == sample


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_an_old_consumer_reads_a_new_producers_additions(event_type: str) -> None:
    sample = a_struct(EVENTS[event_type], seeded(event_type), full=True)
    written = json.dumps(extended(json.loads(encode(sample)))).encode()
    # A free map (values, versions, inputs) keeps the extra entry: those take text only.
    if _has_maps(EVENTS[event_type]):
        written = written.replace(b'"added_later": {"x": [1]}', b'"added_later": "x"')
    read = decode(written, EVENTS[event_type])
    assert _without_additions(json.loads(encode(read))) == json.loads(encode(sample))


def _has_maps(shape: type[msgspec.Struct]) -> bool:
    for hint in typing.get_type_hints(shape).values():
        for each in (hint, *get_args(hint)):
            if get_origin(each) is dict:
                return True
            if isinstance(each, type) and issubclass(each, msgspec.Struct) and _has_maps(each):
                return True
    return False


def _without_additions(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_additions(each) for k, each in value.items() if k != "added_later"}
    if isinstance(value, list):
        return [_without_additions(each) for each in value]
    return value


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_an_event_without_a_required_field_is_unreadable_by_name(event_type: str) -> None:
    shape = EVENTS[event_type]
    whole = json.loads(encode(a_struct(shape, seeded(event_type), full=True)))
    required = [field.encode_name for field in msgspec.structs.fields(shape) if field.required]
    assert required
    for name in required:
        rest = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(UnreadableEvent) as refused:
            decode(json.dumps(rest).encode(), shape)
        assert name in str(refused.value)


def test_types_are_versioned_and_facts_of_the_state_table_exist() -> None:
    for event_type in ALL_TYPES:
        parts = event_type.split(".")
        assert len(parts) == 3
        assert parts[2] == "v1"
        assert event_type == event_type.lower()
    assert set(STATE_AFTER) <= set(EVENTS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["properties"].pop("amount"), "$.amount was removed"),
        (lambda s: s["required"].remove("amount"), "$.amount became optional"),
        (lambda s: s["required"].append("principal"), "$.principal became required"),
        (lambda s: s["properties"].update(amount={"type": "string"}), "$.amount changed its type"),
        (lambda s: s["properties"].update(paid_at={"type": "string", "format": "date"}),
         "$.paid_at changed its type"),
    ],
    ids=["removed", "optional", "required", "type", "format"],
)  # fmt: skip
def test_a_breaking_change_is_recognised(change: Any, said: str) -> None:
    old = snapshot("debt.payment_received.v1")
    new = copy.deepcopy(old)
    change(next(iter(new["$defs"].values())))
    assert any(each.startswith(said) for each in schemas.breaking_changes(old, new))


def test_an_optional_addition_is_no_breaking_change() -> None:
    old = snapshot("debt.payment_received.v1")
    new = copy.deepcopy(old)
    next(iter(new["$defs"].values()))["properties"]["added_later"] = {"type": "string"}
    assert schemas.breaking_changes(old, new) == []
    assert schemas.breaking_changes(old, old) == []


def test_a_nested_breaking_change_is_recognised() -> None:
    old = snapshot("debt.registered.v1")
    new = copy.deepcopy(old)
    del new["$defs"]["ContactPoint"]["properties"]["address"]
    found = schemas.breaking_changes(old, new)
    assert [each for each in found if each.endswith(".address was removed")]


# ---- CloudEvents attributes ----------------------------------------------------------------------


def an_envelope(event_type: str) -> Envelope:
    return Envelope(
        id=UUID(int=7, version=4),
        type=event_type,
        source="regua/scheduler",
        time=datetime(2026, 3, 2, 12, tzinfo=UTC),
        key=str(UUID(int=9, version=4)),
        tenant_id="acme",
        data=b"{}",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        expires_at=datetime(2026, 3, 2, 20, tzinfo=UTC),
    )


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_record_headers_are_cloudevents_in_binary_mode(event_type: str) -> None:
    headers = dict(an_envelope(event_type).headers())
    assert headers["ce_specversion"] == b"1.0"
    assert headers["content-type"] == b"application/json"
    for required in ("ce_id", "ce_source", "ce_type"):
        assert headers[required].decode()
    for name in headers:
        if name.startswith("ce_"):
            attribute = name.removeprefix("ce_")
            assert attribute.isalnum(), "CloudEvents names are lower-case letters and digits"
            assert attribute.islower()
            assert len(attribute) <= 20, "the specification's recommended limit"
    for instant in ("ce_time", "ce_expirytime"):
        assert datetime.fromisoformat(headers[instant].decode()).tzinfo is not None


def test_an_envelope_reads_back_and_ignores_unknown_headers() -> None:
    envelope = an_envelope("debt.updated.v1")
    headers = dict(envelope.headers()) | {"ce_addedlater": b"x", "other": b"\xff"}
    assert Envelope.from_record(headers, envelope.data) == envelope


@pytest.mark.parametrize(
    "name", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_partitionkey", "ce_tenantid"]
)
def test_a_record_without_a_required_attribute_is_unreadable(name: str) -> None:
    headers = dict(an_envelope("debt.updated.v1").headers())
    del headers[name]
    with pytest.raises(UnreadableEvent, match=name):
        Envelope.from_record(headers, b"{}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_id", b"7"), ("ce_time", b"yesterday"), ("ce_time", b"2026-03-02T12:00:00"),
     ("ce_type", b"\xff\xfe"), ("ce_expirytime", b"never")],
    ids=["id", "time", "naive", "encoding", "expiry"],
)  # fmt: skip
def test_a_record_with_a_malformed_attribute_is_unreadable(name: str, value: bytes) -> None:
    headers = dict(an_envelope("debt.updated.v1").headers()) | {name: value}
    with pytest.raises(UnreadableEvent, match="malformed header") as refused:
        Envelope.from_record(headers, b"{}")
    assert "yesterday" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"null"])
def test_undecodable_data_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        decode(data, EVENTS["debt.updated.v1"])
