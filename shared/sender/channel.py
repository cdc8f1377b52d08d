"""A channel is a value: all that makes one sender differ from another.

In: a service's `channel.py` builds one `Channel[M]`. Out: the runtime (`shared.sender.service`)
runs it. A provider with the wrong message type is reported by mypy at the registry line.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared.events.configuration import Portfolio, SenderAccount, Template
from shared.events.contact import ContactTask
from shared.sender.doors import Door, Surroundings
from shared.sender.memory import Memory
from shared.sender.provider import Provider, WebhookEvent

M = TypeVar("M", bound="Message")


class Message(Protocol):
    """What the runtime needs of any channel's composed message."""

    @property
    def text(self) -> str:
        """The rendered words, as the debtor reads them (sealed for the ledger)."""

    @property
    def segments(self) -> int:
        """How many units the provider bills and the carrier carries."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply means. `confident` False asks for a human.

    `promise_amount` is in minor units of the contact's currency (hundredths, as people write it).
    """

    intent: str
    confident: bool
    right_party: bool = False
    promise_amount: int | None = None
    promise_date: date | None = None


def _no_doors(surroundings: Surroundings) -> Sequence[Door]:
    del surroundings
    return ()


def _not_own(body: bytes) -> Sequence[WebhookEvent] | None:
    del body
    return None


class Channel(msgspec.Struct, Generic[M], frozen=True, kw_only=True):
    """One channel of one sender service.

    `compose` renders a task with its template into `M` and raises `RenderError`;
    `is_opt_out` is the quick look at a reply's words that runs before anything else in a webhook;
    `read_reply(text, today, from_address)` gives the intent. `forbidden` names the rule by which a
    contact must not go out for a portfolio on an account, asked before anything else; `memory` is
    what the channel remembers of people. Both are for channels that have such rules.
    `pair_rate_per_minute` counts for accounts that name none (None: no such limit). `doors` makes
    its further ways in, besides webhooks; `read_own` reads what came in by them (None: it did not).
    """

    name: str
    service: str
    compose: Callable[[ContactTask, Template], M]
    providers: Mapping[str, Provider[M]]
    is_opt_out: Callable[[str], bool]
    read_reply: Callable[[str, date, str], Reading]
    forbidden: Callable[[ContactTask, Portfolio, SenderAccount], str | None] | None = None
    memory: Memory | None = None
    pair_rate_per_minute: float | None = None
    doors: Callable[[Surroundings], Sequence[Door]] = _no_doors
    read_own: Callable[[bytes], Sequence[WebhookEvent] | None] = _not_own


def events_in(
    channel: Channel[Any], provider: Provider[Any], body: bytes
) -> tuple[WebhookEvent, ...]:
    """Return what a stored webhook says; raise `UnreadableWebhookError`."""
    own = channel.read_own(body)
    return tuple(provider.read_webhook(body) if own is None else own)
