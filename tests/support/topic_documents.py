"""Records on Kafka, held against the AsyncAPI document.

In: the brokers of a stack that has done something. Out: what of each record is not as the document
says: its channel, its message, its headers, its payload, who stated it.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft7Validator, FormatChecker

from deploy.documents.files import ASYNCAPI
from shared.kafka import Record

Json = dict[str, Any]

DOCUMENT: Json = json.loads(ASYNCAPI.read_text())
FORMATS = FormatChecker(["date-time", "uuid"])


def type_of(record: Record) -> str:
    """The type that a record says it has."""
    return record.headers.get("ce_type", b"").decode()


def departures(record: Record) -> Iterator[str]:
    """What of a record the document does not say: places and rules, never values."""
    name = type_of(record)
    channel = DOCUMENT["channels"].get(record.topic)
    if channel is None or name not in channel["messages"]:
        yield f"{record.topic}: {name!r} is no message of it"
        return
    source = record.headers["ce_source"].decode().removeprefix("regua/")
    operation = DOCUMENT["operations"].get(f"{source}.send.{record.topic}", {"messages": []})
    if {"$ref": f"#/channels/{record.topic}/messages/{name}"} not in operation["messages"]:
        yield f"{record.topic}: {source} is not said to send {name}"
    headers, payload = validators(name)
    texts = {key: value.decode() for key, value in record.headers.items()}
    for part, validator, value in (
        ("headers", headers, texts),
        ("payload", payload, json.loads(record.value or b"null")),
    ):
        for error in validator.iter_errors(value):
            yield f"{name} {part} {error.json_path}: {error.validator}"


@cache
def validators(name: str) -> tuple[Draft7Validator, Draft7Validator]:
    """What a message's headers and payload must be."""
    message = DOCUMENT["components"]["messages"][name]
    components = {"components": DOCUMENT["components"]}
    headers, payload = (
        Draft7Validator({"allOf": [message[part]], **components}, format_checker=FORMATS)
        for part in ("headers", "payload")
    )
    return headers, payload
