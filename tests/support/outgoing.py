"""An event as the scheduler would put it on a topic, for tests that play the scheduler."""

from uuid import uuid4

import msgspec

from shared.events import envelope
from shared.events.envelope import Envelope
from shared.kafka.records import Outgoing
from tests.support.contacts import TENANT, now


def outgoing(topic: str, kind: str, key: str, body: msgspec.Struct) -> Outgoing:
    """Return a record of one event, timed now."""
    event = Envelope(
        id=uuid4(),
        type=kind,
        source="regua/scheduler",
        time=now(),
        key=key,
        tenant_id=TENANT,
        data=envelope.encode(body),
    )
    return Outgoing(topic, key, event.headers(), event.data)
