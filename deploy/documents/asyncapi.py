"""The AsyncAPI document: every topic, every type of record on it, who writes and who reads it.

In: the tables of `shared.events` (topics, types, envelope). Out: `docs/asyncapi.json`, AsyncAPI
3.0.0, for those who read Kafka themselves: dialers and letter houses that take hand-offs, data
platforms, operators. One operation per service and topic; `outside` is whoever is not one of us.
"""

import inspect
from collections.abc import Iterator, Mapping

import msgspec

from shared.events import topics
from shared.events.configuration import CONFIG_CHANGED, CONFIG_KINDS, ConfigEntry
from shared.events.contact import CONTACT_FACT_TYPES, TASK_TYPES
from shared.events.debt import DEBT_EVENT_TYPES, INTERNAL_TYPES
from shared.events.handoff import HANDOFF_REQUESTED, HANDOFF_TYPES
from shared.events.hold import HOLD_TYPES
from shared.events.schemas import open_objects
from shared.events.states import STATE_AFTER
from shared.events.topics import RETENTION_DAYS, TASKS_BY_CHANNEL, TOPICS, Topic
from shared.http.operations import SCHEMAS, Schema, components

DAY_MS = 24 * 3_600 * 1_000
BINDING = "0.5.0"  # of AsyncAPI's Kafka bindings
EXPIRES = frozenset({"contact.task.v1", "contact.close_requested.v1", HANDOFF_REQUESTED})
# What senders state on contact.events.v1; the scheduler states the others, and those in both.
OF_SENDERS = frozenset(
    f"contact.{word}.v1"
    for word in (
        *("accepted", "attempt_refused", "failed", "unknown", "unknown_final"),
        *("cancelled", "expired", "deferred"),
        *("sent", "delivered", "undelivered", "read", "replied", "opted_out", "complained"),
    )
)
OF_BOTH = frozenset(f"contact.{word}.v1" for word in ("cancelled", "expired", "deferred"))

ABOUT = (
    "Regua's services speak to each other over Kafka, and so may you: read `debt.events.v1` and "
    "`contact.events.v1` for everything that happens, and `contact.tasks.handoff.v1` for the steps "
    "that people take: do what `handoff.requested` asks inside its permit, until `handoff.closed`. "
    "Nothing is written from outside: events, decisions and what people did (`contact.recorded`) "
    "go in over HTTP (see `openapi/scheduler.json`).\n\n"
    "Records are CloudEvents 1.0 in Kafka's binary mode: attributes as `ce_*` headers, JSON as the "
    "value. **Redelivery is normal**: tell repetitions by `ce_id`, never by offset. **Ignore what "
    "you do not know**: optional fields and types are added; anything else is a new version of a "
    "type. Amounts in debt events are integers in minor units; instants are UTC. No record key, "
    "header or type carries a debtor's data."
)
HEADERS: Schema = {
    "type": "object",
    "description": "CloudEvents attributes; extensions may be added.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {
            "type": "string",
            "format": "uuid",
            "description": "identity of the event: the same id again is the same event",
        },
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string", "description": "who states it, e.g. regua/scheduler"},
        "ce_time": {"type": "string", "format": "date-time", "description": "law time"},
        "ce_partitionkey": {"type": "string", "description": "the record's key"},
        "ce_tenantid": {"type": "string", "description": "whose it is; `*` is the platform"},
        "ce_expirytime": {
            "type": "string",
            "format": "date-time",
            "description": "tasks only: end of the permit's lawful interval",
        },
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context, when sampled"},
    },
    "required": [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_partitionkey",
        "ce_tenantid",
        "content-type",
    ],
}
LETTER_HEADERS: Schema = {
    "type": "object",
    "description": "The headers that the record had, and why nobody could read it.",
    "properties": {
        "dlq_topic": {"type": "string"},
        "dlq_partition": {"type": "string"},
        "dlq_offset": {"type": "string"},
        "dlq_reason": {"type": "string", "description": "free of personal data"},
        "dlq_error": {"type": "string", "description": "class of the exception"},
    },
    "required": ["dlq_topic", "dlq_partition", "dlq_offset", "dlq_reason"],
}


def document() -> Schema:
    """Return the whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Regua",
            "version": "1",
            "description": ABOUT,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {topic.name: _channel(topic) for topic in TOPICS}
        | {"dead-letters": _letters()},
        "operations": dict(_operations()),
        "components": {
            "messages": dict(_messages()) | {"dead-letter": _letter()},
            "schemas": _schemas(),
            "securitySchemes": {
                "scram": {"type": "scramSha512", "description": "SASL/SCRAM-SHA-512"},
            },
        },
    }


def types_of(topic: Topic) -> Mapping[str, type[msgspec.Struct]]:
    """Return the types of record on a topic, and the struct of each one's data."""
    if topic == topics.CONTACT_TASKS_HANDOFF:
        return HANDOFF_TYPES
    if topic in TASKS_BY_CHANNEL.values():
        return TASK_TYPES
    found: dict[str, Mapping[str, type[msgspec.Struct]]] = {
        topics.DEBT_EVENTS.name: DEBT_EVENT_TYPES,
        topics.CONTACT_EVENTS.name: CONTACT_FACT_TYPES,
        topics.CONTACT_HOLDS.name: HOLD_TYPES,
        topics.PLATFORM_CONFIG.name: {CONFIG_CHANGED: ConfigEntry},
    }
    return found[topic.name]


def stated_by(producer: str, topic: Topic) -> list[str]:
    """Return the types that a service writes to a topic."""
    types = list(types_of(topic))
    if topic != topics.CONTACT_EVENTS:
        return types
    mine = OF_SENDERS if producer.endswith("_sender") else set(types) - OF_SENDERS | OF_BOTH
    return [each for each in types if each in mine]


def _servers() -> Schema:
    where = {
        "host": "{bootstrap}",
        "variables": {
            "bootstrap": {
                "default": "127.0.0.1:9092",
                "description": "the brokers that `KAFKA_BOOTSTRAP` names",
            }
        },
    }
    return {
        "plain": where | {"protocol": "kafka", "description": "as `make up` starts it"},
        "secure": where
        | {
            "protocol": "kafka-secure",
            "description": "TLS and a user, as settings of the services say",
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _channel(topic: Topic) -> Schema:
    kept: Schema = (
        {"cleanup.policy": ["compact"]}
        if topic.compacted
        else {"cleanup.policy": ["delete"], "retention.ms": RETENTION_DAYS * DAY_MS}
    )
    return {
        "address": topic.name,
        "title": topic.name,
        "summary": topic.meaning,
        "description": f"Key: `{topic.key}`.",
        "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in types_of(topic)},
        "bindings": {"kafka": {"topicConfiguration": kept, "bindingVersion": BINDING}},
    }


def _operations() -> Iterator[tuple[str, Schema]]:
    for topic in TOPICS:
        for producer in topic.producers:
            yield _operation(producer, "send", topic, stated_by(producer, topic))
        for consumer in topic.consumers:
            yield _operation(consumer, "receive", topic, list(types_of(topic)))


def _operation(service: str, action: str, topic: Topic, types: list[str]) -> tuple[str, Schema]:
    channel = f"#/channels/{topic.name}"
    return f"{service}.{action}.{topic.name}", {
        "action": action,
        "channel": {"$ref": channel},
        "title": f"{service} {action}s {topic.name}",
        "tags": [{"name": service}],
        "messages": [{"$ref": f"{channel}/messages/{each}"} for each in types],
    }


def _messages() -> Iterator[tuple[str, Schema]]:
    for topic in TOPICS:
        for name, shape in types_of(topic).items():
            yield name, _message(name, shape, topic)


def _message(name: str, shape: type[msgspec.Struct], topic: Topic) -> Schema:
    headers: Schema = {"properties": {"ce_type": {"const": name}}}
    if name in EXPIRES:
        headers["required"] = ["ce_expirytime"]
    summary, _, rest = inspect.cleandoc(shape.__doc__ or "").partition("\n\n")
    made: Schema = {
        "name": name,
        "title": name,
        "summary": " ".join(summary.split()),
        "contentType": "application/json",
        "headers": {"allOf": [{"$ref": SCHEMAS + "CloudEventHeaders"}, headers]},
        "payload": _entry() if shape is ConfigEntry else {"$ref": SCHEMAS + shape.__name__},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic.key},
                "bindingVersion": BINDING,
            }
        },
    }
    told = [" ".join(rest.split())] if rest else []
    if name in STATE_AFTER:
        state = STATE_AFTER[name].name.lower()
        told.append(f"Moves its contact to `{state}`, if that is higher than where it is.")
    if name in INTERNAL_TYPES:
        told.append("Internal: the scheduler tells itself.")
    if told:
        made["description"] = "\n\n".join(told)
    return made


def _entry() -> Schema:
    """Return the schema of a configuration entry: its body is one of the kinds, or deleted."""
    kinds = [{"$ref": SCHEMAS + kind.__name__} for kind in dict.fromkeys(CONFIG_KINDS.values())]
    nothing = {"type": "object", "maxProperties": 0, "description": "of a deleted entry"}
    body = {"properties": {"body": {"anyOf": [*kinds, nothing]}}}
    return {"allOf": [{"$ref": SCHEMAS + "ConfigEntry"}, body]}


def _letters() -> Schema:
    return {
        "address": "{topic}.dlq",
        "title": "dead letters",
        "summary": "records that their reader could not read",
        "parameters": {"topic": {"enum": [each.name for each in TOPICS]}},
        "messages": {"dead-letter": {"$ref": "#/components/messages/dead-letter"}},
    }


def _letter() -> Schema:
    return {
        "name": "dead-letter",
        "title": "a record as it was",
        "summary": "Same key, headers and value, and why.",
        "headers": {"$ref": SCHEMAS + "DeadLetterHeaders"},
        "payload": {"description": "whatever it was"},
    }


def _schemas() -> Schema:
    """Return the schema of every struct on Kafka; readers ignore fields they do not know."""
    shapes = {shape for topic in TOPICS for shape in types_of(topic).values()}
    shapes |= set(CONFIG_KINDS.values())
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    found = components(ordered)
    open_objects(found)
    found |= {"CloudEventHeaders": HEADERS, "DeadLetterHeaders": LETTER_HEADERS}
    return dict(sorted(found.items()))
