"""What a channel may remember of people besides the runtime's rows, and what it concludes from it.

In: people who wrote, names that a provider has for them, messages about to be claimed. Out: whether
each message may go now, must wait, or must not go at all. A channel without such rules has no
memory; one that has some keeps it in tables of its own schema, in the transactions given here.
Addresses come as keyed digests: nobody's number is stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from shared.postgres import Connection
from shared.sender.errors import ErrorKind
from shared.sender.provider import Account


class Heard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person wrote to `number`, under any of these names; `at` is what the provider says."""

    tenant_id: str
    number: str
    digests: tuple[str, ...]
    at: datetime | None


class Named(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person whom we write to at one address goes by other names, too."""

    tenant_id: str
    address_digest: str
    others: tuple[str, ...]


class Planned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that is about to be claimed."""

    contact_id: UUID
    account: Account
    address_digest: str
    message: Any


class Judgement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is against a message: refused for good, or to be handed back for so many seconds."""

    rule: str
    refused: ErrorKind | None = None
    wait_seconds: float = 0.0


class Memory(Protocol):
    """One channel's memory; every method runs in the caller's transaction."""

    async def hear(self, conn: Connection, heard: Sequence[Heard]) -> None:
        """Note that people wrote to us."""

    async def learn(self, conn: Connection, named: Sequence[Named]) -> None:
        """Note other names of people."""

    async def known_as(
        self, conn: Connection, tenant_id: str, digests: Sequence[str]
    ) -> Sequence[str]:
        """Return the addresses that lead to whoever goes by one of these names."""

    async def judge(self, conn: Connection, planned: Sequence[Planned]) -> Mapping[UUID, Judgement]:
        """Return what is against messages; those it does not name count as sent from now on."""

    async def tidy(self, conn: Connection) -> None:
        """Forget what says nothing any more."""
