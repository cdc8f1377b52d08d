"""Errors over HTTP: RFC 9457 problem+json, always, naming field and remedy, never a value.

In: `Problem` raised anywhere below a route, and what frameworks raise. Out: one body shape:
`type, title, status, detail, instance, errors[{field, message, remedy}]`.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from shared.privacy import mask_text

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:regua:problem:"
ERRORS_MAX = 50  # a client mends a few and tries again; an answer stays small
UNPROCESSABLE = 422
NOT_NOW = 503
RETRY_SECONDS = "1"  # unless a door knows better: most of what is away comes back within seconds

_DEFAULT_DETAIL = {
    401: "Send a valid API key as X-API-Key or Authorization: Bearer.",
    403: "This API key lacks the scope for this request.",
    404: "There is nothing at this path for this API key.",
    405: "This path does not take this method; the Allow header lists those it takes.",
    413: "The request body is larger than this service accepts; send smaller batches.",
    415: "This path does not take this content type.",
    500: "The service failed to handle this request; quote `instance` when you report it.",
    503: "The service is not ready; try again shortly.",
}
_PATH = re.compile(r" - at `(?:key in )?\$?\.?(.*)`$")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*?)`")
_MISSING_FIELD = re.compile(r"missing required field `(.*?)`")


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field, and what to send instead."""

    field: str
    message: str
    remedy: str = ""


class Problem(HTTPException):
    """An error answer. Raise it from any route, dependency or reader of a request.

    A 503 always says when to come back (Retry-After).
    """

    def __init__(
        self,
        status: int,
        title: str | None = None,
        detail: str | None = None,
        type_slug: str | None = None,
        errors: Sequence[FieldError] = (),
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        given = dict(headers or {})
        if status == NOT_NOW:
            given.setdefault("Retry-After", RETRY_SECONDS)
        super().__init__(status, detail, given or None)
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.text = detail or _DEFAULT_DETAIL.get(status, self.title)
        self.type_slug = type_slug or self.title.lower().replace(" ", "-").replace("'", "")
        self.errors = tuple(errors)
        self.instance = f"urn:uuid:{uuid4()}"  # also in the log line of an error 500
        self.extensions = dict(extensions or {})

    def body(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        members: dict[str, Any] = {
            "type": TYPE_PREFIX + self.type_slug,
            "title": self.title,
            "status": self.status,
            "detail": self.text,
            "instance": self.instance,
        }
        if self.errors:
            members["errors"] = self.errors[:ERRORS_MAX]
        return members | self.extensions

    def response(self) -> Response:
        """Return the answer to send."""
        return Response(
            msgspec.json.encode(self.body()), self.status, self.headers, media_type=MEDIA_TYPE
        )


def from_http(error: Any) -> Problem:
    """Turn what the framework raised into a problem; its own text is not passed on."""
    if isinstance(error, Problem):
        return error
    return Problem(error.status_code, headers=error.headers)


def from_validation(error: RequestValidationError) -> Problem:
    """Turn FastAPI's validation errors into one problem with a field error each."""
    return invalid([_field_error(item) for item in error.errors()])


def from_msgspec(error: Exception, where: str = "") -> Problem:
    """Turn a msgspec error into a problem: the field's path and what was expected of it."""
    return invalid([field_error(error, where)])


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the 422 problem for fields that are missing or wrong."""
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors[:3])
    return Problem(UNPROCESSABLE, "Invalid request", detail, "validation", errors)


def field_error(error: Exception, where: str = "") -> FieldError:
    """Return path and expectation of a msgspec error, without the value that broke it."""
    text = str(error)
    found = _PATH.search(text)
    path = [part for part in (where, found[1] if found else "") if part]
    head = text[: found.start()] if found else text
    if missing := _MISSING_FIELD.search(head):
        field = ".".join([*path, missing[1]])
        return FieldError(field=field, message="is required", remedy="add this field")
    if unknown := _UNKNOWN_FIELD.search(head):
        field = ".".join([*path, mask_text(unknown[1])])
        return FieldError(field=field, message="is not known", remedy="remove or rename this field")
    expectation = re.split(r", got | '|: ", head)[0].replace("`", "")
    return FieldError(
        field=".".join(path) or "body",
        message=mask_text(expectation[:1].lower() + expectation[1:]),
        remedy="correct the value of this field",
    )


def _field_error(item: Mapping[str, Any]) -> FieldError:
    place, *path = [str(part) for part in item["loc"]] or ["body"]
    field = mask_text(".".join(path) or place)
    if item["type"] == "missing":
        return FieldError(field=field, message="is required", remedy=f"add it to the {place}")
    if item["type"] == "extra_forbidden":
        return FieldError(field=field, message="is not known", remedy="remove or rename this field")
    if item["type"] == "json_invalid":
        return FieldError(field="body", message="is not valid JSON", remedy="send well-formed JSON")
    message = str(item["msg"]).split(", ")[0]  # what follows a comma may quote the value
    return FieldError(
        field=field,
        message=mask_text(message[:1].lower() + message[1:]),
        remedy=f"correct it in the {place}",
    )
