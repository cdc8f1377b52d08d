"""JSON Schema snapshots, one per event type and version, and the rules by which they may change.

In: the structs of `shared.events`. Out: `<type>.json` files beside this one, written by
`python -m shared.events.schemas` (`make schemas`); `--check` compares instead of writing. A minor
change may add optional fields; anything an old reader or writer would trip over needs a new
version of the type. The generator refuses to overwrite a snapshot with a breaking change.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from shared.events.configuration import CONFIG_KINDS, ConfigEntry
from shared.events.contact import CONTACT_FACT_TYPES, TASK_TYPES
from shared.events.debt import DEBT_EVENT_TYPES
from shared.events.hold import HOLD_TYPES

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"
CONFIG_ENTRY_TYPE = "config.changed.v1"

Schema = dict[str, Any]


def event_types() -> dict[str, type[msgspec.Struct]]:
    """Return every type that crosses Kafka, and the struct of its data."""
    return {
        **DEBT_EVENT_TYPES,
        **CONTACT_FACT_TYPES,
        **TASK_TYPES,
        **HOLD_TYPES,
        CONFIG_ENTRY_TYPE: ConfigEntry,
        **{f"config.{kind}.v1": body for kind, body in CONFIG_KINDS.items()},
    }


def schema_of(event_type: str, shape: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of one type; readers ignore unknown fields, so it allows them."""
    schema = msgspec.json.schema(shape)
    _open_objects(schema)
    return {"$schema": DIALECT, "$id": f"urn:regua:event:{event_type}", **schema}


def render(schema: Schema) -> str:
    """Return the snapshot's text."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def path_of(event_type: str) -> Path:
    """Return the snapshot's file."""
    return FOLDER / f"{event_type}.json"


def current() -> dict[Path, str]:
    """Return every snapshot as the code has it now."""
    return {path_of(name): render(schema_of(name, shape)) for name, shape in event_types().items()}


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return why a reader of `old` would trip over `new`, or the other way round; empty if not."""
    return [*_breaks(_Document(old), old, _Document(new), new, "$", set())]


class _Document:
    """Resolves the local references of one schema."""

    def __init__(self, root: Schema) -> None:
        self._definitions: dict[str, Schema] = root.get("$defs", {})

    def resolve(self, node: Schema) -> Schema:
        while "$ref" in node:
            node = self._definitions[node["$ref"].rpartition("/")[2]]
        return node


def _breaks(  # noqa: PLR0913 - two documents, a node of each, where, and what was compared
    old_root: _Document,
    old: Schema,
    new_root: _Document,
    new: Schema,
    path: str,
    seen: set[tuple[int, int]],
) -> Iterator[str]:
    old, new = old_root.resolve(old), new_root.resolve(new)
    if (id(old), id(new)) in seen:
        return
    seen.add((id(old), id(new)))
    if _kinds(old_root, old) != _kinds(new_root, new):
        yield f"{path} changed its type"
        return
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    for name in sorted(old_fields.keys() - new_fields.keys()):
        yield f"{path}.{name} was removed"
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield f"{path}.{name} became required"
    for name in sorted(set(old.get("required", [])) - set(new.get("required", []))):
        yield f"{path}.{name} became optional: readers rely on it"
    for name in sorted(old_fields.keys() & new_fields.keys()):
        where = f"{path}.{name}"
        yield from _breaks(old_root, old_fields[name], new_root, new_fields[name], where, seen)
    for part in ("items", "additionalProperties"):
        if isinstance(old.get(part), dict) and isinstance(new.get(part), dict):
            yield from _breaks(old_root, old[part], new_root, new[part], f"{path}[]", seen)
    for before, after in zip(old.get("anyOf", []), new.get("anyOf", []), strict=False):
        yield from _breaks(old_root, before, new_root, after, path, seen)


def _kinds(root: _Document, node: Schema) -> frozenset[str]:
    """Return the types and formats a node allows."""
    node = root.resolve(node)
    if "anyOf" in node:
        return frozenset().union(*(_kinds(root, each) for each in node["anyOf"]))
    kinds = node.get("type", "any")
    listed = kinds if isinstance(kinds, list) else [kinds]
    return frozenset(f"{kind}:{node.get('format', '')}" for kind in listed)


def _open_objects(node: object) -> None:
    """Drop `additionalProperties: false`: a directory ignores fields that a newer writer added."""
    if isinstance(node, dict):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        for value in node.values():
            _open_objects(value)
    elif isinstance(node, list):
        for value in node:
            _open_objects(value)
