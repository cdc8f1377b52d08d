"""The AsyncAPI document: valid by the official schema, complete, and true to itself."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from deploy.documents import asyncapi
from deploy.documents.files import ASYNCAPI
from shared.events import schemas
from shared.events.configuration import CONFIG_KINDS
from shared.events.topics import TOPICS

Json = dict[str, Any]

DOCUMENT: Json = json.loads(ASYNCAPI.read_text())
OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0.schema.json"


@cache
def judge() -> Draft7Validator:
    """The specification's own schema."""
    return Draft7Validator(json.loads(OFFICIAL.read_text()))


def references(part: object) -> Iterator[str]:
    """Every reference in a part of the document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def found(reference: str) -> Any:
    """What a reference points to; KeyError when there is nothing."""
    value: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        value = value[name]
    return value


def test_the_document_is_valid_by_the_official_schema() -> None:
    assert [f"{each.json_path}: {each.message}" for each in judge().iter_errors(DOCUMENT)] == []


def test_the_official_schema_refuses_a_broken_document() -> None:
    for broken in ("channels", "operations"):
        document = copy.deepcopy(DOCUMENT)
        next(iter(document[broken].values()))["surprise"] = 1
        assert not judge().is_valid(document), broken


def test_every_reference_leads_somewhere() -> None:
    places = list(references(DOCUMENT))
    assert len(places) > len(TOPICS)
    for place in places:
        assert isinstance(found(place), dict), place


def test_operations_name_messages_of_their_own_channel() -> None:
    for name, operation in DOCUMENT["operations"].items():
        channel = operation["channel"]["$ref"]
        assert operation["messages"], name
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/"), name


def test_every_topic_is_a_channel_with_its_readers_and_writers() -> None:
    channels = DOCUMENT["channels"]
    assert {each["address"] for each in channels.values()} >= {topic.name for topic in TOPICS}
    for topic in TOPICS:
        sent = {f"{each}.send.{topic.name}" for each in topic.producers}
        received = {f"{each}.receive.{topic.name}" for each in topic.consumers}
        assert sent | received <= DOCUMENT["operations"].keys()


def test_every_type_that_crosses_kafka_is_a_message() -> None:
    bodies = {f"config.{kind}.v1" for kind in CONFIG_KINDS}
    messages = DOCUMENT["components"]["messages"].keys() - {"dead-letter"}
    assert messages == schemas.event_types().keys() - bodies


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_somebody_states_every_type_of_a_topic(topic: Any) -> None:
    stated = {each for name in topic.producers for each in asyncapi.stated_by(name, topic)}
    assert stated == asyncapi.types_of(topic).keys()


def test_schemas_are_schemas_and_let_old_readers_read_new_records() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft7Validator.check_schema(schema)
        assert "additionalProperties" not in schema or schema["additionalProperties"], name
