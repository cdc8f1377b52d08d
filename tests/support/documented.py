"""A running service, called by what its OpenAPI document says and judged by it.

In: the document that the service answers, and its address. Out: `Documented`: calls by operation
id, each answer checked against the document by an independent tool (Schemathesis), which also
draws requests of its own, valid and broken ones. It remembers which operations succeeded.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

Json = dict[str, Any]

CALL_SECONDS_MAX = 30.0
CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Requests with parts of their own: a batch is answered 202 whatever one of its events is.
MANY = ("application/cloudevents-batch+json", "application/x-ndjson")
PLACEHOLDER = re.compile(r"{(\w+)}")


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Documented:
    """One service behind its document."""

    def __init__(self, url: str, key: str) -> None:
        """`key` may read the document, and is what calls without another one carry."""
        self._http = httpx.Client(
            base_url=url, timeout=CALL_SECONDS_MAX, headers={"X-API-Key": key}
        )
        self.document: Json = self._http.get("/openapi.json").raise_for_status().json()
        self._url, self._key = url, key
        self._schema = schemathesis.openapi.from_dict(self.document)
        self._places = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }
        self.succeeded: set[str] = set()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    @property
    def operations(self) -> set[str]:
        """Ids of every operation of the document."""
        return set(self._places)

    def call(self, name: str, status: int, *, key: str | None = None, **request: Any) -> Json:
        """Call an operation; the answer is what was expected and what the document says.

        `path` fills the placeholders; the rest is httpx's.
        """
        method, template, operation = self._places[name]
        given: Mapping[str, object] = request.pop("path", {})
        path = PLACEHOLDER.sub(lambda found: quote(str(given[found[1]]), safe=""), template)
        headers = ({"X-API-Key": key} if key else {}) | request.pop("headers", {})
        answer = self._http.request(method, path, headers=headers, **request)
        assert answer.status_code == status, f"{name}: {answer.status_code} {answer.text}"
        assert str(status) in operation["responses"], f"{name}: {status} is not in the document"
        self._schema[template][method].validate_response(answer)
        if answer.is_success:
            self.succeeded.add(name)
        kind = answer.headers.get("content-type", "")
        return answer.json() if "json" in kind else {"text": answer.text}

    def ask(self, name: str, *, key: str, examples: int, broken: bool) -> None:
        """Draw requests for an operation; every answer must be as the document says."""
        method, template, told = self._places[name]
        if broken and not can_be_broken(told):
            return
        operation = self._schema[template][method]
        mode = GenerationMode.NEGATIVE if broken else GenerationMode.POSITIVE

        def one(case: Any) -> None:
            answer = case.call(
                base_url=self._url, headers={"X-API-Key": key}, timeout=CALL_SECONDS_MAX
            )
            strict = broken and case.media_type not in MANY
            checks = [*CONFORMANCE, *([negative_data_rejection] if strict else [])]
            case.validate_response(answer, checks=checks)

        drawn = hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        hypothesis.given(case=operation.as_strategy(generation_mode=mode))(drawn(one))()


def can_be_broken(operation: Json) -> bool:
    """Whether there is something to send wrongly: a text in a path is as right as any other."""
    parameters = operation.get("parameters", [])
    return "requestBody" in operation or any(
        each["in"] != "path" or set(each["schema"]) & {"format", "enum", "pattern"}
        for each in parameters
    )
