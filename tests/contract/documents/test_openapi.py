"""The OpenAPI documents: valid by the specification, complete, with examples that fit."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.documents import openapi
from deploy.documents.files import openapi_path
from shared.http.auth import SCOPES
from tests.support.tree import services

Json = dict[str, Any]

DOCUMENTS: dict[str, Json] = {
    name: json.loads(openapi_path(name).read_text()) for name in openapi.APPLICATIONS
}
OPEN = {"health_live", "health_ready", "health_startup", "read_metrics"}
ASKED = ("scheduler", "contact_ledger")  # by clients; the senders' callers are providers


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Every operation with its place."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(document: Json) -> Iterator[tuple[str, Json]]:
    """Every media type object of a request with its place."""
    for place, operation in operations(document):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{place} {kind}", media


OPERATIONS = [
    pytest.param(operation, id=f"{name} {place}")
    for name, document in DOCUMENTS.items()
    for place, operation in operations(document)
]


def test_every_service_has_its_document() -> None:
    assert sorted(DOCUMENTS) == services()


@pytest.mark.parametrize("service", DOCUMENTS)
def test_a_document_is_valid(service: str) -> None:
    OpenAPIV31SpecValidator(DOCUMENTS[service]).validate()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_says_what_it_does_and_gives(operation: Json) -> None:
    assert operation["operationId"]
    assert operation["summary"]
    assert operation["tags"]
    successes = [status for status in operation["responses"] if status.startswith("2")]
    assert successes
    assert all(operation["responses"][status].get("content") for status in successes)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_names_its_scope_or_is_open(operation: Json) -> None:
    if operation["operationId"] in OPEN or operation["tags"] == ["webhooks"]:
        assert operation["security"] == []
    else:
        asked = {scope for each in operation["security"] for [scope] in each.values()}
        assert len(asked) == 1
        assert asked <= set(SCOPES)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_parameter_says_what_it_is(operation: Json) -> None:
    silent = [
        each["name"] for each in operation.get("parameters", []) if not each.get("description")
    ]
    assert not silent


@pytest.mark.parametrize("service", DOCUMENTS)
def test_every_refusal_is_a_problem(service: str) -> None:
    document = DOCUMENTS[service]
    told = document["components"]["responses"]
    assert all(set(each["content"]) == {"application/problem+json"} for each in told.values())
    wrong = [
        f"{place} {status}"
        for place, operation in operations(document)
        for status, answer in operation["responses"].items()
        if status >= "400" and answer.get("$ref", "").rpartition("/")[2] != f"Problem{status}"
    ]
    assert not wrong


@pytest.mark.parametrize("service", DOCUMENTS)
def test_operations_have_names_of_their_own(service: str) -> None:
    names = [operation["operationId"] for _, operation in operations(DOCUMENTS[service])]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("service", ASKED)
def test_examples_fit_what_they_are_examples_of(service: str) -> None:
    document = DOCUMENTS[service]
    found = 0
    for place, media in bodies(document):
        validator = Draft202012Validator(media["schema"] | {"components": document["components"]})
        for name, example in media.get("examples", {}).items():
            found += 1
            assert validator.is_valid(example["value"]), f"{place}: {name}"
    assert found > 1


def test_every_json_body_that_a_client_posts_has_an_example() -> None:
    missing = [
        place
        for name in ASKED
        for place, media in bodies(DOCUMENTS[name])
        if not media.get("examples")
    ]
    assert not missing


def test_an_example_of_every_type_of_event() -> None:
    [taken] = [
        media
        for place, media in bodies(DOCUMENTS["scheduler"])
        if place == "POST /v1/events application/cloudevents+json"
    ]
    schema = DOCUMENTS["scheduler"]["components"]["schemas"]["Event"]
    known = {name for name in schema["discriminator"]["mapping"] if not name.endswith(".v1")}
    assert set(taken["examples"]) == known
