"""A message inside the sandbox, whichever provider carries it, and a bounded place to keep some.

In: what a client asked a provider to send. Out: the `Message` that provider, debtors and truth log
talk about. Times are law time: the provider lives in the same simulated days as its debtors.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

MESSAGES_MAX = 300_000  # about 1.5 kB each
VALIDITY_SECONDS = 36_000  # how long a provider tries when nobody told it


class Message(msgspec.Struct, gc=False):
    """One message. `sid` is the provider's name for it; `provider` the provider's.

    `contact_id`, `attempt_id` and `debtor_id` are our own reference, read back from wherever the
    provider lets a client put one; `person` is the address as the truth log shows it.
    """

    sid: str
    provider: str
    account_id: str
    from_: str
    to: str
    body: str
    created: datetime
    status: str = "queued"
    direction: str = "outbound-api"
    callback_url: str | None = None
    validity_seconds: int = VALIDITY_SECONDS
    updated: datetime | None = None
    sent: datetime | None = None
    error_code: int | None = None
    contact_id: str | None = None
    attempt_id: str | None = None
    debtor_id: str | None = None
    person: str | None = None


def answer(
    about: Message, text: str, *, sid: str, created: datetime, to: str | None = None
) -> Message:
    """Return what a person answers to a message; to its sender unless told otherwise."""
    return Message(
        sid=sid,
        provider=about.provider,
        account_id=about.account_id,
        from_=about.to,
        to=to or about.from_,
        body=text,
        created=created,
        status="received",
        direction="inbound",
    )


M = TypeVar("M", bound=Message)


class Kept(OrderedDict[str, M], Generic[M]):
    """Messages by SID; the oldest are forgotten beyond the bound."""

    def add(self, message: M) -> None:
        """Keep a message."""
        self[message.sid] = message
        if len(self) > MESSAGES_MAX:
            self.popitem(last=False)
