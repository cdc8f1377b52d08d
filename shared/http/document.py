"""The OpenAPI document of a service, finished: what the framework cannot know is added here.

In: the document that FastAPI generated, the routers, the raw routes that never enter FastAPI, and
what the service is (`About`). Out: the same document with every raw route, the schemas of every
struct that an operation refers to, problem+json answers wherever a route or the edge before it can
refuse, keys with the scope that each operation asks for, and a summary from each docstring.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from shared.http.edge import RawRoute
from shared.http.operations import Schema, Shape, components, named_in, problem, shapes_in
from shared.http.problems import MEDIA_TYPE, TYPE_PREFIX, FieldError

LICENCE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
KEY_SCHEMES = ("api_key", "bearer")
SECURITY_SCHEMES = {
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key made by `POST /v1/api-keys`. Each operation names its scope.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key, as a token."},
}
STANDARD_TAGS = {
    "health": "For load balancers and Prometheus; no key.",
    "operations": "For operators.",
}
FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")
EVERYWHERE = (400, 500, 503)
WITH_A_KEY = (401, 403)
WITH_A_BODY = (408, 413, 415, 422)
WITH_ANY_BODY = (408, 413)
# Status: why, the slug of an example, a detail as it may read.
REFUSALS: Mapping[int, tuple[str, str, str]] = {
    400: ("Not JSON, or not an address", "malformed-json", "The body is not UTF-8 text."),
    401: ("No valid key", "missing-key", "No API key was sent. Send a valid key as X-API-Key."),
    403: ("The key may not do this", "missing-scope", "This API key lacks the scope operator."),
    404: ("Not there, or another tenant's", "not-found", "There is nothing at this path."),
    405: ("Not a method of this path", "method-not-allowed", "The Allow header lists them."),
    408: ("The body came too slowly", "body-too-slow", "It did not arrive within 30 s."),
    409: ("It contradicts what is there", "conflict", "The item is claimed; take another."),
    412: ("Changed in between", "version-conflict", "The entry is at version 4; read it again."),
    413: ("Too large", "body-too-large", "The request body is over 8388608 bytes."),
    415: ("Not a content type of this path", "unsupported-media-type", "This path takes JSON."),
    422: ("Fields are missing or wrong", "validation", "debt_ref: is required"),
    500: ("Failed; quote `instance`", "internal-server-error", "Quote `instance`."),
    503: ("Not ready, or too busy: try again", "starting", "The service is starting; try again."),
}
HEADERS_OF: Mapping[int, str] = {401: "WWW-Authenticate", 405: "Allow", 503: "Retry-After"}


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error (RFC 9457): what is wrong, and field by field how to mend it.

    `type` is stable and meant for programs: `urn:regua:problem:` and a word such as `validation`,
    `invalid-event`, `malformed-json`, `missing-scope`. `detail` is for people; `instance` names
    this one answer in the service's log. No member ever repeats a value that was sent.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: tuple[FieldError, ...] = ()


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says of itself: a description in Markdown, its tags, where it stands."""

    text: str = ""
    tags: Mapping[str, str] = {}
    port: int = 80


class _Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route, of the framework or raw. `scope` None: no key."""

    path: str
    methods: tuple[str, ...]
    operation: Mapping[str, Any]
    scope: str | None
    takes_parameters: bool
    raw: bool


def finished(
    generated: Callable[[], Schema],
    routers: Sequence[APIRouter | RawRoute],
    about: About,
) -> Schema:
    """Return the whole document."""
    document = generated()
    routes = list(_routes(routers))
    for route in routes:
        _add(document, route)
    document["info"] |= {"license": LICENCE} | ({"description": about.text} if about.text else {})
    document["servers"] = [_server(about.port)]
    tags = {**STANDARD_TAGS, **about.tags}
    document["tags"] = [{"name": name, "description": text} for name, text in tags.items()]
    document["security"] = [{name: []} for name in KEY_SCHEMES]
    document["components"] = _components(document, routes)
    return document


def _routes(routers: Sequence[APIRouter | RawRoute]) -> Iterator[_Route]:
    for router in routers:
        if isinstance(router, RawRoute):
            yield _Route(
                path=router.path,
                methods=router.methods,
                operation=router.operation,
                scope=router.scope,
                takes_parameters=True,
                raw=True,
            )
            continue
        for route in router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                yield _Route(
                    path=route.path_format,
                    methods=tuple(sorted(route.methods or ())),
                    operation=route.openapi_extra or {},
                    scope=_scope_of(route.dependant),
                    takes_parameters=_takes_parameters(route.dependant),
                    raw=False,
                )


def _scope_of(dependant: Dependant) -> str | None:
    """Return the scope that a route's dependencies ask for (`shared.http.auth.require`)."""
    found = getattr(dependant.call, "scope", None)
    if isinstance(found, str):
        return found
    return next((s for each in dependant.dependencies if (s := _scope_of(each))), None)


def _takes_parameters(dependant: Dependant) -> bool:
    own = dependant.path_params or dependant.query_params or dependant.header_params
    return bool(own) or any(_takes_parameters(each) for each in dependant.dependencies)


def _add(document: Schema, route: _Route) -> None:
    """Complete the operations of one route."""
    for method in route.methods:
        path = document["paths"].setdefault(route.path, {})
        if route.raw:
            path[method.lower()] = _raw(route, method)
        found = path[method.lower()]
        told = route.operation.get(method, route.operation).get("responses")
        answers = dict(told) if told else _of_the_framework(found)
        if route.scope is None:
            found["security"] = []
        else:
            found["security"] = [{name: [route.scope]} for name in KEY_SCHEMES]
            found["description"] = _described(found, route.scope)
        for status in _statuses(route, found):
            answers.setdefault(str(status), problem(status))
        found["responses"] = dict(sorted(answers.items()))
        if not route.raw:
            _summarise(found)
        for each in found.get("parameters", ()):
            each["schema"] = _bare(each.get("schema", {}))


def _raw(route: _Route, method: str) -> Schema:
    """Return the operation of a raw route: that of this method, or the only one it has."""
    told = route.operation.get(method, route.operation)
    return {"responses": {"200": {"description": "Done"}}} | dict(told)


def _of_the_framework(operation: Schema) -> Schema:
    """Return the answers that the framework generated, but for its own kind of error."""
    return {s: answer for s, answer in operation.get("responses", {}).items() if s != "422"}


def _statuses(route: _Route, operation: Schema) -> list[int]:
    """Return the statuses of refusal that follow from what a route is."""
    found = list(EVERYWHERE)
    if route.scope is not None:
        found += WITH_A_KEY
    if "requestBody" in operation:
        found += WITH_A_BODY if route.scope is not None else WITH_ANY_BODY
    if route.takes_parameters and route.scope is not None:
        found.append(422)
    if "{" in route.path:
        found.append(404)
    return found


def _described(operation: Schema, scope: str) -> str:
    return f"{operation.get('description', '')}\n\nScope: `{scope}`.".strip()


def _summarise(operation: Schema) -> None:
    """Make the docstring's first sentence the summary, the rest the description."""
    text = operation.get("description", "")
    first, _, rest = text.partition("\n\n")
    sentence = " ".join(first.split()).rstrip(".:")
    if sentence and not sentence.startswith("Scope"):
        operation["summary"] = sentence
        operation["description"] = rest.strip()
    if not operation.get("description"):
        operation.pop("description", None)


def _bare(schema: Schema) -> Schema:
    """Return a parameter's schema without null (what is left out is not sent) and repetitions."""
    told = {name: each for name, each in schema.items() if name not in ("title", "description")}
    kinds: list[Schema] = told.get("anyOf", [])
    left = [each for each in kinds if each.get("type") != "null"]
    if len(left) == len(kinds) or len(left) != 1:
        return told
    del told["anyOf"]
    return told | left[0]


def _server(port: int) -> Schema:
    return {
        "url": "{origin}",
        "variables": {
            "origin": {
                "default": f"http://127.0.0.1:{port}",
                "description": "where this service is reached",
            }
        },
    }


def _components(document: Schema, routes: Sequence[_Route]) -> Schema:
    found = document.get("components", {})
    schemas = {
        name: schema
        for name, schema in found.get("schemas", {}).items()
        if name not in FRAMEWORKS_OWN
    }
    shapes = {kind for each in routes for kind in shapes_in(each.operation)}
    kinds = sorted({ProblemDetails} | shapes, key=lambda kind: kind.__name__)
    schemas |= components(kinds)
    schemas |= {each.name: each.schema for route in routes for each in named_in(route.operation)}
    return {
        "schemas": dict(sorted(schemas.items())),
        "responses": {f"Problem{status}": _refusal(status) for status in REFUSALS},
        "securitySchemes": SECURITY_SCHEMES,
    }


def _refusal(status: int) -> Schema:
    meaning, slug, detail = REFUSALS[status]
    example: Schema = {
        "type": TYPE_PREFIX + slug,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": "urn:uuid:4f7a2c1e-0c53-4d0e-9a57-1f0c1d6f5b20",
    }
    made: Schema = {
        "description": meaning,
        "content": {MEDIA_TYPE: {"schema": Shape(ProblemDetails), "example": example}},
    }
    if status in HEADERS_OF:
        made["headers"] = {HEADERS_OF[status]: {"schema": {"type": "string"}}}
    return made
