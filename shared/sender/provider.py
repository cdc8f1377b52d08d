"""What a provider adapter is: send, authenticate, read_webhook, and what it can do.

In: a composed message (`M`) and the account it goes out on. Out: `Accepted`, `Refused` or
`Unknown`, and normalised receipts and replies. An adapter is one file; it speaks HTTP through the
client it is given and knows nothing of Kafka, PostgreSQL, holds or retries.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

import aiohttp
import msgspec

from shared.events.configuration import SenderAccount
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind, SendError

M_contra = TypeVar("M_contra", contravariant=True)


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider offers to make an unknown outcome known; the runtime asks, never guesses.

    `idempotency_key_seconds` is the lifetime of a key (None: no keys); `look_up` says that a
    message can be found by our reference; `echoes_reference` that receipts carry it;
    `callback_per_message` that each message names its own callback URL; `validity` that the
    provider stops trying by itself when the window ends.
    """

    idempotency_key_seconds: int | None = None
    look_up: bool = False
    echoes_reference: bool = False
    callback_per_message: bool = False
    validity: bool = False


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A sender account with its secrets resolved; lives only as long as the batch that uses it."""

    tenant_id: str
    account_id: str
    settings: SenderAccount
    credentials: Mapping[str, str]

    def __repr__(self) -> str:
        """Name the account, never its secrets."""
        return f"Account({self.tenant_id}/{self.account_id})"

    __str__ = __repr__


def _never() -> bool:
    return False


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances of one call: where receipts go, and until when the message may live.

    `reference` names the attempt to providers that echo a reference in their receipts instead of
    taking a URL: up to 90 letters, digits and hyphens, nothing personal (`Callbacks.reference`).
    `unsubscribe_url` is where a POST by the recipient's mail program opts out of the channel;
    `sandbox` says that the provider is one of this machine and need not show a certificate.
    `stopped` says whether a hold has come since the call was allowed: an adapter that waits before
    it hands anything over (for a connection of a bounded pool) asks once more.
    """

    callback_url: str
    validity_seconds: int
    reference: str = ""
    unsubscribe_url: str = ""
    sandbox: bool = False
    stopped: Callable[[], bool] = _never


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The provider took the message; `provider_ref` is its name for it.

    `other_addresses` are other names that the provider has for the recipient.
    """

    provider_ref: str
    other_addresses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Name the message, never the person."""
        return f"Accepted({self.provider_ref})"


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Certain: the provider did not take the message."""

    error: SendError


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """The message may have been taken; `why` is a short code. Never sent again blindly."""

    why: str


SendResult = Accepted | Refused | Unknown


class StatusReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery report, normalised. `state` is None for words that move nothing (unknown ones).

    `error` is set on negative reports; `provider_word` keeps the provider's own status;
    `our_reference` is `Sending.reference` where the report carries it. `complained_by` is the
    address of a person who reported the message as unwanted: as good as an opt-out; empty: whoever
    the message named by `our_reference` went to.
    `other_addresses` are names of the recipient; `category` and `billable` say how the provider
    charges the message.
    """

    provider_ref: str
    provider_word: str
    state: ContactState | None
    code: str | None = None
    error: ErrorKind | None = None
    provider_at: datetime | None = None
    our_reference: str | None = None
    complained_by: str | None = None
    other_addresses: tuple[str, ...] = ()
    category: str | None = None
    billable: bool | None = None


class InboundReply(msgspec.Struct, frozen=True, kw_only=True):
    """A message from a person: who wrote (their address), to which sender, and what.

    `from_address` is empty when only the message that is answered tells who it was.

    `button` is the kind of button that was pressed (`Button.kind`), `our_reference` the contact
    that the reply itself names, as the adapter put it into the message, `answers` the provider's
    name of the message that it quotes. `other_addresses` are other names of the same person.
    """

    provider_ref: str
    from_address: str
    to_address: str
    text: str
    button: str | None = None
    our_reference: str | None = None
    answers: str | None = None
    other_addresses: tuple[str, ...] = ()
    provider_at: datetime | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of an account, not of a message: `what` is a word from a closed list.

    `level` is the provider's own word for how it stands now, e.g. a quality or a messaging tier.
    """

    what: str
    level: str = ""


WebhookEvent = StatusReceipt | InboundReply | Notice


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it came: the public URL it was sent to, its headers (lower case), raw body.

    `received_at` is machine time: a provider that signs the time judges replays by it.
    `traceparent` is the trace of the request or mail that brought it.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime | None = None
    traceparent: str | None = None


class WebhookAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider wants to hear once its webhook is stored."""

    body: bytes
    content_type: str


@runtime_checkable
class Subscribed(Protocol):
    """A provider that asks before it sends: it GETs the webhook's URL and wants its word back."""

    def challenge(self, query: Mapping[str, str], account: Account) -> str | None:
        """Return what to answer; None when the caller does not know our verify token."""


@runtime_checkable
class Batching(Protocol):
    """A provider that puts many events into one webhook, and repeats them in other companies."""

    def split(self, body: bytes) -> Sequence[bytes]:
        """Return one body per event, the same bytes whenever it comes; raise as `read_webhook`."""


@runtime_checkable
class KeepsConnections(Protocol):
    """A provider that is no HTTP one and keeps connections of its own, bounded."""

    async def close(self) -> None:
        """Close them; calls that run are not waited for."""


@runtime_checkable
class ChecksOptions(Protocol):
    """A provider that says what is wrong with the public options of an account at it."""

    def check_options(self, options: Mapping[str, str]) -> str | None:
        """Return which option is wrong and what to write instead; None when they fit."""


class UnreadableWebhookError(ValueError):
    """An authentic webhook that cannot be understood; stored raw, counted, never applied."""


class KeyUnavailableError(RuntimeError):
    """What a signature is checked with cannot be had now: the webhook must be sent again."""


@runtime_checkable
class AsksBack(Protocol):
    """A provider that must be asked before or after a webhook of it is believed.

    Both calls are bounded and rare: a certificate is fetched once, a subscription confirmed once.
    """

    async def prepare(
        self, client: aiohttp.ClientSession, request: WebhookRequest, account: Account
    ) -> None:
        """Fetch what `authenticate` needs; raise `KeyUnavailableError` when it cannot be had."""

    async def confirm(
        self, client: aiohttp.ClientSession, request: WebhookRequest, account: Account
    ) -> None:
        """Do what an authentic webhook asks for, before it is answered; raise likewise."""


class Provider(Protocol[M_contra]):
    """One vendor on one channel. `M` is the channel's message type."""

    name: str
    capabilities: Capabilities
    webhook_answer: WebhookAnswer
    credential_names: Sequence[str]

    async def send(
        self,
        client: aiohttp.ClientSession,
        account: Account,
        message: M_contra,
        sending: Sending,
    ) -> SendResult:
        """Make one call. What it raises (aiohttp's errors, time-outs) is classified by `calls`."""

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        """Say whether the provider sent this (raw bytes, constant time, every live secret)."""

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        """Normalise a webhook's body; raise `UnreadableWebhookError` when it makes no sense."""
