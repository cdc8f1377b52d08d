"""JSON Schema snapshots, one per event type and version, and the rules by which they may change.

In: the structs of `shared.events`. Out: `<type>.json` files beside this one, written by
`python -m shared.events.schemas` (`make schemas`); `--check` compares instead of writing. A minor
change may add optional fields; anything an old reader or writer would trip over needs a new
version of the type. The generator refuses to overwrite a snapshot with a breaking change.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from shared.events.configuration import CONFIG_CHANGED, CONFIG_KINDS, ConfigEntry
from shared.events.contact import CONTACT_FACT_TYPES, TASK_TYPES
from shared.events.debt import DEBT_EVENT_TYPES
from shared.events.handoff import HANDOFF_TYPES
from shared.events.hold import HOLD_TYPES

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def event_types() -> dict[str, type[msgspec.Struct]]:
    """Return every type that crosses Kafka, and the struct of its data."""
    return {
        **DEBT_EVENT_TYPES,
        **CONTACT_FACT_TYPES,
        **TASK_TYPES,
        **HANDOFF_TYPES,
        **HOLD_TYPES,
        CONFIG_CHANGED: ConfigEntry,
        **{f"config.{kind}.v1": body for kind, body in CONFIG_KINDS.items()},
    }


def schema_of(event_type: str, shape: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of one type; readers ignore unknown fields, so it allows them."""
    schema = msgspec.json.schema(shape)
    open_objects(schema)
    straighten(schema)
    return {"$schema": DIALECT, "$id": f"urn:regua:event:{event_type}", **schema}


def straighten(part: object) -> None:
    """Take the docstrings' indentation out of descriptions: Markdown would show it as code.

    Compilers before Python 3.13 keep it; the schemas must not depend on which one wrote them.
    """
    if isinstance(part, dict):
        if isinstance(part.get("description"), str):
            part["description"] = inspect.cleandoc(part["description"])
        for each in part.values():
            straighten(each)
    elif isinstance(part, list):
        for each in part:
            straighten(each)


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
    comparison = _Comparison(old.get("$defs", {}), new.get("$defs", {}))
    comparison.compare(old, new, "$")
    return comparison.breaks


class _Comparison:
    """Walks two schemas side by side and notes what an old or a new reader would trip over."""

    def __init__(self, old_definitions: Schema, new_definitions: Schema) -> None:
        self.breaks: list[str] = []
        self._old = old_definitions
        self._new = new_definitions
        self._seen: set[tuple[int, int]] = set()

    def compare(self, old: Schema, new: Schema, path: str) -> None:
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        if (id(old), id(new)) in self._seen:
            return
        self._seen.add((id(old), id(new)))
        if _kinds(self._old, old) != _kinds(self._new, new):
            self.breaks.append(f"{path} changed its type")
            return
        self._compare_fields(old, new, path)
        for part in ("items", "additionalProperties"):
            if isinstance(old.get(part), dict) and isinstance(new.get(part), dict):
                self.compare(old[part], new[part], f"{path}[]")
        for before, after in zip(old.get("anyOf", []), new.get("anyOf", []), strict=False):
            self.compare(before, after, path)

    def _compare_fields(self, old: Schema, new: Schema, path: str) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needed_now = set(old.get("required", [])), set(new.get("required", []))
        found = [
            *(f"{path}.{name} was removed" for name in before.keys() - after.keys()),
            *(f"{path}.{name} became required" for name in needed_now - needed),
            *(
                f"{path}.{name} became optional: readers rely on it"
                for name in (needed - needed_now) & after.keys()
            ),
        ]
        self.breaks += sorted(found)
        for name in sorted(before.keys() & after.keys()):
            self.compare(before[name], after[name], f"{path}.{name}")


def _resolved(definitions: Schema, node: Schema) -> Schema:
    """Follow local references."""
    while "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    return node


def _kinds(definitions: Schema, node: Schema) -> frozenset[str]:
    """Return the types and formats a node allows."""
    node = _resolved(definitions, node)
    if "anyOf" in node:
        return frozenset().union(*(_kinds(definitions, each) for each in node["anyOf"]))
    kinds = node.get("type", "any")
    listed = kinds if isinstance(kinds, list) else [kinds]
    return frozenset(f"{kind}:{node.get('format', '')}" for kind in listed)


def open_objects(node: object) -> None:
    """Drop `additionalProperties: false`: a directory ignores fields that a newer writer added."""
    if isinstance(node, dict):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        for value in node.values():
            open_objects(value)
    elif isinstance(node, list):
        for value in node:
            open_objects(value)
