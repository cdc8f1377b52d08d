"""What bodies look like, for /openapi.json: generated from the structs that decode them.

In: msgspec structs. Out: JSON Schemas without references (the document has no place of its own
for them), as OpenAPI request bodies. Nothing is described twice by hand.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from services.scheduler.intake import parse
from services.scheduler.intake.shapes import CLIENT_SHAPES
from shared.events.configuration import CONFIG_KINDS

Schema = dict[str, Any]
ATTRIBUTES: Schema = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "minLength": 1, "maxLength": 255},
    "source": {"type": "string", "minLength": 1, "maxLength": 255},
    "time": {"type": "string", "format": "date-time"},
    "traceparent": {"type": "string"},
}
REQUIRED = ["specversion", "id", "source", "type", "data"]


def of(shape: Any) -> Schema:
    """Return the JSON Schema of a type, every reference replaced by what it names."""
    (schema,), components = msgspec.json.schema_components([shape], ref_template="{name}")
    inlined: Schema = _inlined(schema, components)
    return inlined


def body(schema: Schema, *media: str) -> Schema:
    """Return the `requestBody` member of an operation that takes this."""
    content = {each: {"schema": schema} for each in media or (parse.JSON,)}
    return {"requestBody": {"required": True, "content": content}}


def answer(description: str, shape: type[msgspec.Struct]) -> Schema:
    """Return a response of an operation."""
    return {"description": description, "content": {parse.JSON: {"schema": of(shape)}}}


def config_body() -> Schema:
    """Return the body of a configuration entry: one of the kinds."""
    kinds = [of(shape) | {"title": kind} for kind, shape in sorted(CONFIG_KINDS.items())]
    return body({"oneOf": [kind for kind in kinds if kind["title"] != "api_key"]})


def event_body() -> Schema:
    """Return the body of POST /v1/events: an event, a batch, or (binary mode) its data."""
    events = [_event(kind, shape) for kind, shape in sorted(CLIENT_SHAPES.items())]
    one = {"oneOf": events}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": parse.EVENTS_MAX}
    data = {"oneOf": [event["properties"]["data"] for event in events]}
    content = {parse.SINGLE: one, parse.BATCH: many, parse.JSON: data}
    return {
        "requestBody": {
            "required": True,
            "content": {media: {"schema": schema} for media, schema in content.items()},
        }
    }


def line_body() -> Schema:
    """Return the body of POST /v1/events:bulk: lines of text, each an event as above."""
    return body({"type": "string", "description": "one CloudEvent per line"}, parse.NDJSON)


def _event(kind: str, shape: type[msgspec.Struct]) -> Schema:
    short = kind.removesuffix(".v1")
    types: Schema = {"enum": [short, kind]}
    return {
        "title": short,
        "type": "object",
        "properties": ATTRIBUTES | {"type": types, "data": of(shape)},
        "required": REQUIRED,
    }


def _inlined(value: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        named = value.get("$ref")
        if isinstance(named, str):
            return _inlined(components[named], components)
        return {name: _inlined(each, components) for name, each in value.items()}
    if isinstance(value, list):
        return [_inlined(each, components) for each in value]
    return value
