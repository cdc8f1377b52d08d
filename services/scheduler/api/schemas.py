"""What the events' and the configuration's bodies look like, for /openapi.json.

In: the structs that decode them. Out: OpenAPI request bodies and operations, made of references to
those structs (`shared.http.operations`). Nothing is described twice by hand.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.scheduler.api import examples
from services.scheduler.intake import parse
from services.scheduler.intake.shapes import CLIENT_SHAPES
from shared.events.configuration import CONFIG_KINDS, ConfigEntry
from shared.http.document import ProblemDetails
from shared.http.operations import (
    Named,
    Schema,
    Shape,
    body,
    header,
    media,
    operation,
    parameter,
)
from shared.http.problems import FieldError

ProblemBody = Annotated[dict[str, Any], Meta(extra_json_schema=dict(Shape(ProblemDetails)))]
WRITABLE_KINDS = sorted(CONFIG_KINDS.keys() - {"api_key"})
TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
ATTRIBUTES: Schema = {
    "specversion": {"type": "string", "const": "1.0"},
    "id": TEXT | {"description": "yours; the same (source, id) again is a duplicate"},
    "source": TEXT | {"description": "which of your systems says so, e.g. /billing"},
    "time": {
        "type": "string",
        "format": "date-time",
        "description": "when it happened, with an offset; now when left out",
    },
    "datacontenttype": {"type": "string", "maxLength": 100},
    "traceparent": {"type": "string", "maxLength": 55, "description": "W3C trace context"},
}
REQUIRED = ["specversion", "id", "source", "type", "data"]
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    "One random key per request: for 72 hours the same request gets the first answer again.",
    TEXT,
)
TENANT = parameter("tenant", "query", "tenant to act for; platform keys only", {"type": "string"})
BINARY = tuple(
    parameter(f"ce-{name}", "header", "Binary mode only: the event's attribute.", schema)
    for name, schema in (
        ("specversion", {"type": "string", "const": "1.0"}),
        ("id", TEXT),
        ("source", TEXT),
        ("type", {"type": "string"}),
        ("time", {"type": "string", "format": "date-time"}),
    )
)
REPLAYED = {"Idempotency-Replayed": header("`true` when this is a stored answer")}
ETAG = {"ETag": header("The entry's version: what `If-Match` takes.")}


class StoredEntry(ConfigEntry, frozen=True, kw_only=True):
    """An entry as it is stored; `warnings`: steps that it leaves to nobody, and the remedy."""

    warnings: tuple[FieldError, ...] = ()


def stored_entry() -> Schema:
    """Return the schema of an entry as it is shown: its body is one of the kinds."""
    kinds = [Shape(shape) for shape in dict.fromkeys(CONFIG_KINDS.values())]
    nothing = {"type": "object", "maxProperties": 0, "description": "of a deleted entry"}
    return {
        "allOf": [Shape(StoredEntry), {"properties": {"body": {"anyOf": [*kinds, nothing]}}}],
    }


def config_body() -> Schema:
    """Return the schema of a configuration entry's body: that of its kind."""
    kinds = dict.fromkeys(CONFIG_KINDS[kind] for kind in WRITABLE_KINDS)
    return {"anyOf": [Shape(kind) for kind in kinds]}


def post_events(answer: type[msgspec.Struct]) -> Schema:
    """Return the operation of POST /v1/events: an event, a batch, or (binary mode) its data."""
    one = event()
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": parse.EVENTS_MAX}
    data = {"anyOf": [Shape(shape) for shape in CLIENT_SHAPES.values()]}
    taken = body(
        {
            parse.SINGLE: media(one, examples.events()),
            parse.BATCH: media(many, examples.batch()),
            parse.JSON: media(data, examples.binary()),
        }
    )
    return _posting("post_events", answer, (IDEMPOTENCY_KEY, TENANT, *BINARY)) | {
        "summary": "Post one debt event, or a batch of up to 1,000",
        "description": (
            "CloudEvents 1.0: structured (`application/cloudevents+json`), a batch "
            "(`application/cloudevents-batch+json`), or binary (attributes as `ce-*` headers, "
            "data as `application/json`). An event of a batch that is refused is refused alone; a "
            "single one answers with its problem. `parked`: it waits for its debt."
        ),
        "requestBody": taken,
    }


def post_lines(answer: type[msgspec.Struct]) -> Schema:
    """Return the operation of POST /v1/events:bulk: lines of text, each an event as above."""
    lines = {"type": "string", "description": "one CloudEvent per line, at most 1,000"}
    return _posting("post_events_in_bulk", answer, (IDEMPOTENCY_KEY, TENANT)) | {
        "summary": "Post debt events, one per line",
        "requestBody": body({parse.NDJSON: media(lines, examples.lines())}),
    }


def event() -> Schema:
    """Return the schema of one event in structured form, told apart by `type`."""
    events = {kind: _event(kind, shape) for kind, shape in sorted(CLIENT_SHAPES.items())}
    mapping: dict[str, str] = {}
    for kind, reference in events.items():
        mapping |= {kind.removesuffix(".v1"): reference["$ref"], kind: reference["$ref"]}
    discriminator = {"propertyName": "type", "mapping": mapping}
    return Named("Event", {"oneOf": list(events.values()), "discriminator": discriminator})


def _posting(name: str, answer: type[msgspec.Struct], parameters: tuple[Schema, ...]) -> Schema:
    return {"tags": ["events"]} | operation(
        name,
        gives=answer,
        status=202,
        meaning="One result per event, in order",
        refuses=(409,),
        headers=REPLAYED,
        parameters=parameters,
    )


def _event(kind: str, shape: type[msgspec.Struct]) -> Named:
    short = kind.removesuffix(".v1")
    types: Schema = {"type": "string", "enum": [short, kind]}
    properties: dict[str, Any] = ATTRIBUTES | {"type": types, "data": Shape(shape)}
    made = {"type": "object", "properties": properties, "required": REQUIRED}
    return Named(short, {"title": short} | made)
