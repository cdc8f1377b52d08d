"""From request bodies to drafts: CloudEvents structured, batched and binary, and NDJSON.

In: bytes, their content type and headers. Out: one `Parsed` per event, in order, either a draft or
the problem that refuses it; a body that is no list of events at all is refused as a whole.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

import msgspec

from services.scheduler.intake import refusal
from services.scheduler.intake.draft import Draft, Sender
from services.scheduler.intake.normalise import draft_of
from services.scheduler.intake.shapes import CLIENT_SHAPES, CloudEvent, Shape
from shared.http.problems import Problem
from shared.telemetry.tracing import is_traceparent

EVENTS_MAX = 1_000  # of one request: statements over arrays gain nothing beyond it
SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
JSON = "application/json"
CLIENT_ID_CHARS_MAX = 255
NOT_JSON = "The event is not valid JSON. Send well-formed UTF-8 JSON."
REPEATED = "The event repeats a member name within one object. Send each member once."

_event = msgspec.json.Decoder(CloudEvent)
_events = msgspec.json.Decoder(list[msgspec.Raw])
_shapes = {kind: msgspec.json.Decoder(shape) for kind, shape in CLIENT_SHAPES.items()}


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a request: a draft, or why there is none. `client_id` None: unreadable."""

    client_id: str | None
    draft: Draft | None = None
    problem: Problem | None = None


class Identified(msgspec.Struct, frozen=True):
    """The least that a refused event must say for its answer to name it."""

    id: str


_identified = msgspec.json.Decoder(Identified)


def structured(body: bytes, sender: Sender, trace: Callable[[], str]) -> list[Parsed]:
    """Read one CloudEvent in structured form."""
    return [_parsed(body, sender, trace)]


def batch(body: bytes, sender: Sender, trace: Callable[[], str]) -> list[Parsed]:
    """Read a JSON array of CloudEvents."""
    try:
        raw = _events.decode(body)
    except msgspec.ValidationError:
        raise refusal.malformed("A batch is a JSON array of CloudEvents.") from None
    except RecursionError:
        raise refusal.too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refusal.malformed(NOT_JSON) from None
    return _all(raw, sender, trace)


def ndjson(body: bytes, sender: Sender, trace: Callable[[], str]) -> list[Parsed]:
    """Read one CloudEvent per line; blank lines are passed over."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    return _all(lines, sender, trace)


def binary(
    body: bytes, headers: Mapping[str, str], sender: Sender, trace: Callable[[], str]
) -> list[Parsed]:
    """Read a CloudEvent whose attributes are `ce-*` headers and whose body is its data."""
    _must_be_json(body)
    attributes = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    client_id = attributes.get("id")
    try:
        event = msgspec.convert(attributes | {"data": msgspec.Raw(body)}, CloudEvent, strict=False)
    except msgspec.ValidationError as error:
        return [Parsed(client_id=client_id, problem=refusal.from_validation(error, "$"))]
    return [_drafted(event, sender, trace)]


def _all(
    raw: Sequence[bytes | msgspec.Raw], sender: Sender, trace: Callable[[], str]
) -> list[Parsed]:
    if not raw:
        raise refusal.malformed("The body holds no event. Send at least one.")
    if len(raw) > EVENTS_MAX:
        raise refusal.too_many(len(raw), EVENTS_MAX)
    return [_parsed(each, sender, trace) for each in raw]


def _parsed(raw: bytes | msgspec.Raw, sender: Sender, trace: Callable[[], str]) -> Parsed:
    try:
        _must_be_json(raw)
        event = _event.decode(raw)
    except Problem as problem:
        return Parsed(client_id=_client_id(raw), problem=problem)
    except msgspec.ValidationError as error:
        return Parsed(client_id=_client_id(raw), problem=refusal.from_validation(error, "$"))
    except RecursionError:
        return Parsed(client_id=None, problem=refusal.too_deep())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Parsed(client_id=None, problem=refusal.malformed(NOT_JSON))
    return _drafted(event, sender, trace)


def _drafted(event: CloudEvent, sender: Sender, trace: Callable[[], str]) -> Parsed:
    try:
        kind = event.type if event.type.endswith(".v1") else f"{event.type}.v1"
        shape = _shape(event, kind)
        given = event.traceparent
        traceparent = given if given is not None and is_traceparent(given) else trace()
        draft = draft_of(event, kind, shape, sender, traceparent)
    except Problem as problem:
        return Parsed(client_id=event.id, problem=problem)
    return Parsed(client_id=event.id, draft=draft)


def _shape(event: CloudEvent, kind: str) -> Shape:
    decoder = _shapes.get(kind)
    if decoder is None:
        raise refusal.wrong("$.type", "not a type of event we take", "see /openapi.json for them")
    if event.data_base64 is not msgspec.UNSET:
        raise refusal.wrong("$.data_base64", "not taken", "send JSON in `data`")
    try:
        shape: Shape = decoder.decode(event.data)
    except msgspec.ValidationError as error:
        raise refusal.from_validation(error, "$.data") from None
    except RecursionError:
        raise refusal.too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refusal.malformed(NOT_JSON) from None
    return shape


def _must_be_json(body: bytes | msgspec.Raw) -> None:
    """Tell broken JSON (400) from JSON that says the wrong things (422).

    A member that is repeated within one object is broken too: two readers would read it apart.
    The standard library finds that in some 5 microseconds an event; msgspec does not tell.
    """
    try:
        _distinct.decode(bytes(body).decode())
    except RecursionError:
        raise refusal.too_deep() from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise refusal.malformed(NOT_JSON) from None
    except ValueError:
        raise refusal.malformed(REPEATED) from None


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError


_distinct = json.JSONDecoder(object_pairs_hook=_refuse_repeated)


def _client_id(raw: bytes | msgspec.Raw) -> str | None:
    try:
        found = _identified.decode(raw).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if len(found) <= CLIENT_ID_CHARS_MAX else None
