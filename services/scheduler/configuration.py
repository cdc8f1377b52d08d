"""Configuration: stored as versions, checked against each other, published to every service.

In: changes by the API and the command line, with who makes them. Out: rows of `config_version`,
records of platform.config.v1 (through the outbox), and this process's own directory, which is
filled from the database and follows the topic, so that what one replica stored every other knows.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import msgspec

from services.scheduler.configuration_checks import check_delete, check_entry
from services.scheduler.portfolio_warnings import warnings_of
from services.scheduler.store import configuration as store
from shared.directory import Directory
from shared.events.configuration import CONFIG_CHANGED, ApiKey, ConfigEntry
from shared.events.envelope import Envelope, encode
from shared.events.identities import NAMESPACE, fact_id
from shared.events.topics import PLATFORM_CONFIG
from shared.http.auth import PLATFORM_TENANT, SCOPES, digest_of
from shared.http.problems import FieldError, Problem
from shared.postgres import outbox
from shared.postgres.connection import Connection, Pool
from shared.postgres.engine import now

SOURCE = "regua/scheduler"
KEY_PREFIX = "regua_"
KEY_BYTES = 32  # 256 bits: cannot be guessed, so SHA-256 without salt is enough to store it
EMPTY_BODY = msgspec.Raw(b"{}")
PRECONDITION_FAILED = 412
NOT_FOUND = 404


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new API key; `key` is shown this once and stored nowhere."""

    id: str
    tenant_id: str
    label: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    key: str


class Configuration:
    """The configuration of every tenant. `wake` tells the outbox relay to look at once."""

    def __init__(
        self, pool: Pool, directory: Directory, *, sandbox: bool, wake: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._sandbox = sandbox
        self._wake = wake

    async def put(
        self,
        *,
        kind: str,
        tenant_id: str,
        entry_id: str,
        body: bytes,
        actor: str,
        if_version: int | None = None,
    ) -> ConfigEntry:
        """Store a new version; the same body again is no change. Raise a problem when unfit."""
        async with self._pool.transaction() as conn:
            await store.lock(conn)
            known = await store.newest(conn, kind, tenant_id, entry_id)
            _check_version(known, if_version)
            checked = await check_entry(
                conn, kind=kind, tenant_id=tenant_id, entry_id=entry_id, body=body,
                sandbox=self._sandbox,
            )  # fmt: skip
            if known is not None and not known.deleted and bytes(known.body) == bytes(checked):
                return known
            entry = await self._append(conn, kind, tenant_id, entry_id, checked, actor, known)
        self._took(entry)
        return entry

    async def warnings(self, entry: ConfigEntry) -> list[FieldError]:
        """Return which steps nothing can carry as the tenant's configuration stands now."""
        async with self._pool.acquire() as conn:
            return await warnings_of(conn, entry)

    async def delete(
        self, *, kind: str, tenant_id: str, entry_id: str, actor: str, if_version: int | None = None
    ) -> ConfigEntry:
        """Store a version that says the entry is gone; its history stays."""
        async with self._pool.transaction() as conn:
            await store.lock(conn)
            known = await store.newest(conn, kind, tenant_id, entry_id)
            if known is None or known.deleted:
                raise Problem(NOT_FOUND)
            _check_version(known, if_version)
            await check_delete(conn, known)
            entry = await self._append(
                conn, kind, tenant_id, entry_id, EMPTY_BODY, actor, known, deleted=True
            )
        self._took(entry)
        return entry

    async def make_key(
        self,
        *,
        tenant_id: str,
        label: str,
        scopes: tuple[str, ...],
        expires_at: datetime | None,
        actor: str,
    ) -> MadeKey:
        """Make an API key and return its secret, once."""
        secret = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
        body = ApiKey(sha256=digest_of(secret), scopes=scopes, label=label, expires_at=expires_at)
        entry = await self.put(
            kind="api_key",
            tenant_id=tenant_id,
            entry_id=str(uuid4()),
            body=msgspec.json.encode(body),
            actor=actor,
        )
        return MadeKey(
            id=entry.id,
            tenant_id=tenant_id,
            label=label,
            scopes=scopes,
            expires_at=expires_at,
            key=secret,
        )

    async def bootstrap(self, *, force_new: bool) -> MadeKey | None:
        """Make the first platform key; None when there is one and `force_new` is False."""
        async with self._pool.acquire() as conn:
            known = await store.of_kind(conn, "api_key", PLATFORM_TENANT, limit=1)
        if known and not force_new:
            return None
        return await self.make_key(
            tenant_id=PLATFORM_TENANT,
            label="bootstrap",
            scopes=SCOPES,
            expires_at=None,
            actor="bootstrap",
        )

    async def load(self) -> int:
        """Fill the directory from the database (the topic may be behind); return entries read."""
        count = 0
        after = ("", "", "")
        while True:
            async with self._pool.acquire() as conn:
                page = await store.page(conn, after=after)
            self._directory.apply(page)
            count += len(page)
            if len(page) < store.PAGE_ENTRIES_MAX:
                return count
            after = (page[-1].kind, page[-1].tenant_id, page[-1].id)

    async def republish(self) -> None:
        """Put every entry into the outbox again: the broker lost its log."""
        after = ("", "", "")
        while True:
            async with self._pool.transaction() as conn:
                page = await store.page(conn, after=after)
                law = (await now(conn)).law
                await outbox.append(
                    conn, [(PLATFORM_CONFIG.name, _envelope(entry, law)) for entry in page]
                )
            if len(page) < store.PAGE_ENTRIES_MAX:
                return
            after = (page[-1].kind, page[-1].tenant_id, page[-1].id)

    async def _append(
        self,
        conn: Connection,
        kind: str,
        tenant_id: str,
        entry_id: str,
        body: msgspec.Raw,
        actor: str,
        known: ConfigEntry | None,
        *,
        deleted: bool = False,
    ) -> ConfigEntry:
        clocks = await now(conn)
        entry = await store.append(
            conn,
            ConfigEntry(
                kind=kind,
                tenant_id=tenant_id,
                id=entry_id,
                version=known.version + 1 if known else 1,
                body=body,
                changed_at=clocks.machine,
                changed_by=actor,
                deleted=deleted,
            ),
        )
        await outbox.append(conn, [(PLATFORM_CONFIG.name, _envelope(entry, clocks.law))])
        return entry

    def _took(self, entry: ConfigEntry) -> None:
        self._directory.apply([entry])
        self._wake()


def _envelope(entry: ConfigEntry, law: datetime) -> Envelope:
    return Envelope(
        id=fact_id(NAMESPACE, CONFIG_CHANGED, f"{entry.key}\x1f{entry.version}"),
        type=CONFIG_CHANGED,
        source=SOURCE,
        time=law,
        key=entry.key,
        tenant_id=entry.tenant_id,
        data=encode(entry),
    )


def _check_version(known: ConfigEntry | None, wanted: int | None) -> None:
    found = 0 if known is None or known.deleted else known.version
    if wanted is not None and wanted != found:
        detail = f"The entry is at version {found}; read it again and repeat the change on it."
        raise Problem(PRECONDITION_FAILED, "The entry has changed", detail, "version-conflict")
