"""What an operation takes and gives, for the OpenAPI document: told by the types that do it.

In: the struct that a handler decodes and the struct that it answers with. Out: OpenAPI operation
objects (`openapi_extra` of a FastAPI route, `operation` of a raw one). A `Shape` is a reference
into the document's components that remembers its type, so that `shared.http.document` can write
the schema of everything that is referred to, once, from the code. Nothing is described by hand
that the code knows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from shared.events.schemas import straighten

JSON = "application/json"
SCHEMAS = "#/components/schemas/"
RESPONSES = "#/components/responses/"

Schema = dict[str, Any]


class Shape(dict[str, str]):
    """A reference to the schema of a struct."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        super().__init__({"$ref": SCHEMAS + kind.__name__})
        self.kind = kind


class Named(dict[str, str]):
    """A reference to a schema that no single struct has, kept under a name of its own."""

    def __init__(self, name: str, schema: Schema) -> None:
        super().__init__({"$ref": SCHEMAS + name})
        self.name = name
        self.schema = schema


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """An example of a body: what it shows, and the body itself."""

    summary: str
    value: Any


def operation(
    name: str,
    *,
    gives: type[msgspec.Struct] | Schema | None,
    status: int = 200,
    meaning: str = "Done",
    takes: type[msgspec.Struct] | Schema | None = None,
    examples: Mapping[str, Example] | None = None,
    refuses: Iterable[int] = (),
    headers: Mapping[str, Schema] | None = None,
    parameters: Sequence[Schema] = (),
    also: Mapping[int, str] | None = None,
) -> Schema:
    """Return the operation object of one route.

    `name` is the operation's id, unique in its service; `gives` and `takes` are structs, or schemas
    made of `Shape`s; `refuses` the statuses of problems beyond those that follow from the route
    itself; `also` other statuses of success (with their meanings) that answer alike.
    """
    content = {} if gives is None else {"content": {JSON: {"schema": schema_of(gives)}}}
    told = {str(each): text for each, text in {status: meaning, **(also or {})}.items()}
    answers: Schema = {
        each: {"description": text} | content | ({"headers": dict(headers)} if headers else {})
        for each, text in told.items()
    }
    answers |= {str(each): problem(each) for each in refuses}
    made: Schema = {"operationId": name, "responses": answers}
    if takes is not None:
        made["requestBody"] = body({JSON: media(takes, examples)})
    if parameters:
        made["parameters"] = list(parameters)
    return made


def schema_of(told: type[msgspec.Struct] | Schema) -> Schema:
    """Return the schema of a struct as a reference; a schema as it is."""
    return told if isinstance(told, dict) else Shape(told)


def components(kinds: Sequence[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Return the schemas of these structs and of all that they hold, by name.

    Two structs of one name would share a schema: refused, so that somebody renames one.
    """
    references, found = msgspec.json.schema_components(kinds, ref_template=SCHEMAS + "{name}")
    for kind, reference in zip(kinds, references, strict=True):
        if reference != Shape(kind):
            msg = f"two types of the document are called {kind.__name__}; rename one"
            raise ValueError(msg)
    straighten(found)
    return dict(found)


def inlined(kind: type[msgspec.Struct]) -> Schema:
    """Return the schema of a struct itself, to stand inside another type's (`msgspec.Meta`)."""
    return components([kind])[kind.__name__]


def media(
    told: type[msgspec.Struct] | Schema, examples: Mapping[str, Example] | None = None
) -> Schema:
    """Return a media type object: a schema, and examples by name."""
    made: Schema = {"schema": schema_of(told)}
    if examples:
        made["examples"] = {
            name: {"summary": each.summary, "value": each.value} for name, each in examples.items()
        }
    return made


def body(content: Mapping[str, Schema]) -> Schema:
    """Return a required request body of these media types."""
    return {"required": True, "content": dict(content)}


def header(description: str, *, pattern: str | None = None) -> Schema:
    """Return a response header that is a text."""
    return {
        "description": description,
        "schema": {"type": "string"} | ({"pattern": pattern} if pattern else {}),
    }


def parameter(
    name: str, place: str, description: str, schema: Schema, *, required: bool = False
) -> Schema:
    """Return a parameter; `place` is query, header or path."""
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": schema,
    }


def problem(status: int) -> Schema:
    """Return the reference to the problem answer of a status."""
    return {"$ref": f"{RESPONSES}Problem{status}"}


def shapes_in(told: object) -> Iterator[type[msgspec.Struct]]:
    """Every struct that a part of a document refers to."""
    yield from (each.kind for each in _references(told) if isinstance(each, Shape))


def named_in(told: object) -> Iterator[Named]:
    """Every named schema that a part of a document refers to."""
    yield from (each for each in _references(told) if isinstance(each, Named))


def _references(told: object) -> Iterator[Shape | Named]:
    if isinstance(told, Shape):
        yield told
    elif isinstance(told, Named):
        yield told
        yield from _references(told.schema)
    elif isinstance(told, Mapping):
        for each in told.values():
            yield from _references(each)
    elif isinstance(told, (list, tuple)):
        for each in told:
            yield from _references(each)
