"""CloudEvents 1.0 in Kafka binary mode: how every record on every topic is wrapped.

In: an `Envelope` (attributes and encoded data). Out: record headers (`ce_*`, `content-type`,
`traceparent`) and back. Old consumers must read new producers' minor changes, so unknown headers
and unknown data fields are ignored; a missing required attribute raises `UnreadableEvent`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

SPEC_VERSION = b"1.0"
CONTENT_TYPE = b"application/json"

T = TypeVar("T", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()


class UnreadableEvent(ValueError):
    """A record that no consumer of ours can read: it goes to the dead letters with this reason."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event: the CloudEvents attributes that travel as headers, and the encoded JSON data.

    `key` is the partition key (a random debtor id, never personal data); `expires_at` is set on
    contact tasks (`ce_expirytime`): the end of the permit's lawful interval.
    """

    id: UUID
    type: str
    source: str
    time: datetime
    key: str
    tenant_id: str
    data: bytes
    traceparent: str | None = None
    expires_at: datetime | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the record headers of this event, in a fixed order."""
        headers = [
            ("ce_specversion", SPEC_VERSION),
            ("ce_id", str(self.id).encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("ce_partitionkey", self.key.encode()),
            ("ce_tenantid", self.tenant_id.encode()),
            ("content-type", CONTENT_TYPE),
        ]
        if self.expires_at is not None:
            headers.append(("ce_expirytime", self.expires_at.isoformat().encode()))
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers

    @classmethod
    def from_record(cls, headers: Mapping[str, bytes], value: bytes | None) -> "Envelope":
        """Read an event back from a record; raise `UnreadableEvent` naming what is wrong."""
        if value is None:
            msg = "record has no value (a tombstone where an event was expected)"
            raise UnreadableEvent(msg)
        try:
            expires = headers.get("ce_expirytime")
            trace = headers.get("traceparent")
            return cls(
                id=UUID(headers["ce_id"].decode()),
                type=headers["ce_type"].decode(),
                source=headers["ce_source"].decode(),
                time=_instant(headers["ce_time"]),
                key=headers["ce_partitionkey"].decode(),
                tenant_id=headers["ce_tenantid"].decode(),
                data=value,
                traceparent=trace.decode() if trace else None,
                expires_at=_instant(expires) if expires else None,
            )
        except KeyError as error:
            msg = f"record lacks the header {error.args[0]}"
            raise UnreadableEvent(msg) from error
        except ValueError as error:
            msg = f"record has a malformed header: {type(error).__name__}"
            raise UnreadableEvent(msg) from error


def encode(data: msgspec.Struct) -> bytes:
    """Encode event data as JSON."""
    return _encoder.encode(data)


def decode(data: bytes, shape: type[T]) -> T:
    """Decode event data; raise `UnreadableEvent` naming the field, never its value."""
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError as error:
        raise UnreadableEvent(_without_values(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = "data is not valid JSON"
        raise UnreadableEvent(msg) from error


def _instant(raw: bytes) -> datetime:
    instant = datetime.fromisoformat(raw.decode())
    if instant.tzinfo is None:
        msg = "naive time"
        raise ValueError(msg)
    return instant


def _without_values(message: str) -> str:
    """Keep msgspec's path and expectation, drop any quoted value (it may be personal data)."""
    head, _, path = message.partition(" - at ")
    expectation = head.split(", got ")[0] if ", got " in head else head.split(":")[0]
    return f"{expectation} at {path or '$'}"
