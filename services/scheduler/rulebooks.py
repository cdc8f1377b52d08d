"""Rulebooks from configuration: one per tenant, rebuilt when the configuration changed.

In: the directory of platform.config.v1. Out: `Rulebook`s for the policy and the few look-ups the
dispatcher needs (an account's rate). Parsed ladders and packs are kept by entry version, so a
change of one template does not parse every YAML again.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.packs import load_pack
from services.scheduler.policy.rulebook import Ladder, Pack, Rulebook
from shared.directory import Directory
from shared.events.configuration import (
    ConfigEntry,
    Document,
    Portfolio,
    SenderAccount,
    Template,
)

RulebookOf = Callable[[str], Rulebook]  # tenant -> its rules
AddressSubjectOf = Callable[[str, str, str], str]  # tenant, channel, address -> hold subject
T = TypeVar("T", bound=msgspec.Struct)
LADDER_VERSIONS_KEPT = 16  # as many as the directory keeps; older debts continue on the newest


class Rulebooks:
    """The rulebook of each tenant, current with the directory's revision."""

    def __init__(self, directory: Directory) -> None:
        """Read from this directory; nothing is built before it is asked for."""
        self._directory = directory
        self._revision = -1
        self._built: dict[str, Rulebook] = {}
        self._ladders: dict[tuple[str, str, int], Ladder] = {}
        self._packs: dict[tuple[str, str, int], Pack] = {}

    def of(self, tenant_id: str) -> Rulebook:
        """Return the tenant's rulebook (an empty one for a tenant without configuration)."""
        if self._directory.revision != self._revision:
            self._revision = self._directory.revision
            self._built = {}
        built = self._built.get(tenant_id)
        if built is None:
            built = self._built[tenant_id] = self._build(tenant_id)
        return built

    def rate(self, tenant_id: str, account_id: str) -> float:
        """Contacts per second of an account; 1 for an unknown one (its gate will refuse it)."""
        account = self._directory.body("account", tenant_id, account_id, SenderAccount)
        return account.rate_per_second if account else 1.0

    def _build(self, tenant_id: str) -> Rulebook:
        ladders = {
            entry.id: (entry.version, ladder)
            for entry in self._directory.entries("ladder", tenant_id)
            if (ladder := self._ladder(entry)) is not None
        }
        packs = {
            entry.id: (entry.version, pack)
            for entry in self._directory.entries("pack", tenant_id)
            if (pack := self._pack(entry)) is not None
        }
        return Rulebook(
            tenant_id=tenant_id,
            portfolios=self._bodies("portfolio", tenant_id, Portfolio),
            ladders=ladders,
            packs=packs,
            templates=self._bodies("template", tenant_id, Template),
            accounts=self._bodies("account", tenant_id, SenderAccount),
            old_ladders={
                (key[1], key[2]): ladder
                for key, ladder in self._ladders.items()
                if key[0] == tenant_id
            },
        )

    def _bodies(self, kind: str, tenant_id: str, shape: type[T]) -> dict[str, tuple[int, T]]:
        found: dict[str, tuple[int, T]] = {}
        for entry in self._directory.entries(kind, tenant_id):
            body = self._directory.body(kind, tenant_id, entry.id, shape)
            if body is not None:
                found[entry.id] = (entry.version, body)
        return found

    def _ladder(self, entry: ConfigEntry) -> Ladder | None:
        """Parse a ladder once per version. What was stored was checked, so it parses."""
        key = (entry.tenant_id, entry.id, entry.version)
        if key not in self._ladders:
            body = self._directory.body("ladder", entry.tenant_id, entry.id, Document)
            if body is None:
                return None
            self._ladders[key] = load_ladder(body.text)
        return self._ladders[key]

    def _pack(self, entry: ConfigEntry) -> Pack | None:
        key = (entry.tenant_id, entry.id, entry.version)
        if key not in self._packs:
            body = self._directory.body("pack", entry.tenant_id, entry.id, Document)
            if body is None:
                return None
            self._packs[key] = load_pack(body.text)
        return self._packs[key]
