"""Configuration in memory: the newest version of every entry of platform.config.v1.

In: records of the compacted topic, read by every replica of every service. Out: look-ups without
I/O, with bodies decoded once per version. Older versions that were seen are kept (a few per
entry), because a task names the template version it was planned with. A service that runs older
code than the one that wrote an entry ignores fields it does not know.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, get_args

import msgspec

from shared.events.configuration import ApiKey, ConfigEntry, Template
from shared.events.envelope import UnreadableEvent, decode
from shared.telemetry import logs, metrics

VERSIONS_KEPT = 16  # of each entry; a task names a version at most a few days old

T = TypeVar("T", bound=msgspec.Struct)
Key = tuple[str, str, str]  # kind, tenant, id

_log = logs.get_logger(__name__)


class ConfigRecord(Protocol):
    """What the directory reads of a Kafka record."""

    @property
    def key(self) -> str | None:
        """`kind/tenant/id`."""

    @property
    def value(self) -> bytes | None:
        """The encoded `ConfigEntry`; None when compaction took the entry away."""


class ConfigReader(Protocol):
    """What the directory needs of a compacted-topic reader."""

    def batches(self) -> AsyncIterator[Sequence[ConfigRecord]]:
        """Yield the topic's records from its beginning, for ever."""


class Directory:
    """The configuration of every tenant, as far as it was read."""

    def __init__(self) -> None:
        self._entries: dict[Key, ConfigEntry] = {}
        self._versions: dict[Key, dict[int, ConfigEntry]] = {}
        self._bodies: dict[tuple[Key, int], msgspec.Struct] = {}
        self._api_keys: dict[str, Key] = {}
        self._changed = asyncio.Event()
        self._revision = 0

    @property
    def revision(self) -> int:
        """A number that rises with every change: callers rebuild what they derive from entries."""
        return self._revision

    def apply(self, entries: Iterable[ConfigEntry]) -> None:
        """Take in entries in any order; an older version never replaces a newer one."""
        for entry in entries:
            self._apply(entry)
        self._announce()

    def get(self, kind: str, tenant_id: str, entry_id: str) -> ConfigEntry | None:
        """Return the newest version of an entry; None when unknown or deleted."""
        entry = self._entries.get((kind, tenant_id, entry_id))
        return None if entry is None or entry.deleted else entry

    def body(self, kind: str, tenant_id: str, entry_id: str, shape: type[T]) -> T | None:
        """Return the newest body of an entry; None when unknown, deleted or unreadable."""
        entry = self.get(kind, tenant_id, entry_id)
        return None if entry is None else self._decoded(entry, shape)

    def version(self, kind: str, tenant_id: str, entry_id: str) -> int | None:
        """Return the newest version's number; None when unknown or deleted."""
        entry = self.get(kind, tenant_id, entry_id)
        return None if entry is None else entry.version

    def body_at(self, key: Key, version: int, shape: type[T]) -> T | None:
        """Return the body that an entry (kind, tenant, id) had at `version`, if it was seen."""
        entry = self._versions.get(key, {}).get(version)
        return None if entry is None else self._decoded(entry, shape)

    def template(self, tenant_id: str, entry_id: str, version: int) -> Template | None:
        """Return a template as it was at `version`; None when that version was never seen."""
        return self.body_at(("template", tenant_id, entry_id), version, Template)

    def entries(self, kind: str, tenant_id: str | None = None) -> list[ConfigEntry]:
        """Return the entries of a kind that are not deleted, of one tenant or of all."""
        return [
            entry
            for (each_kind, each_tenant, _), entry in self._entries.items()
            if each_kind == kind and tenant_id in (None, each_tenant) and not entry.deleted
        ]

    def api_key(self, sha256: str) -> tuple[str, str, ApiKey] | None:
        """Return (tenant, key id, key) for the SHA-256 of a presented key (lower-case hex)."""
        key = self._api_keys.get(sha256)
        if key is None:
            return None
        _, tenant_id, key_id = key
        found = self.body("api_key", tenant_id, key_id, ApiKey)
        return None if found is None else (tenant_id, key_id, found)

    async def wait_for(
        self,
        kind: str,
        tenant_id: str,
        entry_id: str,
        seconds_max: float,
        *,
        version: int = 0,
    ) -> bool:
        """Wait until an entry is known (at `version` or newer); False when time ran out."""
        deadline = time.monotonic() + seconds_max
        while (self.version(kind, tenant_id, entry_id) or -1) < version:
            changed = self._changed
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            try:
                await asyncio.wait_for(changed.wait(), remaining)
            except TimeoutError:
                return False
        return True

    async def follow(self, reader: ConfigReader) -> None:
        """Keep up with platform.config.v1 for ever; unreadable records are counted and passed."""
        async for records in reader.batches():
            for record in records:
                self._take(record)
            self._announce()

    def _take(self, record: ConfigRecord) -> None:
        if record.value is None:
            parts = (record.key or "").split("/", 2)
            if len(parts) == 3:  # noqa: PLR2004 - kind/tenant/id
                self._forget((parts[0], parts[1], parts[2]))
            return
        try:
            self._apply(decode(record.value, ConfigEntry))
        except UnreadableEvent as error:
            metrics.CONFIG_UNREADABLE.inc()
            _log.error("config_unreadable", error=str(error))

    def _apply(self, entry: ConfigEntry) -> None:
        key = (entry.kind, entry.tenant_id, entry.id)
        versions = self._versions.setdefault(key, {})
        if not entry.deleted:
            versions[entry.version] = entry
            self._bodies.pop((key, entry.version), None)
            while len(versions) > VERSIONS_KEPT:
                oldest = min(versions)
                del versions[oldest]
                self._bodies.pop((key, oldest), None)
        known = self._entries.get(key)
        if known is not None and known.version > entry.version:
            return
        self._entries[key] = entry
        self._index_api_key(key, entry)

    def _index_api_key(self, key: Key, entry: ConfigEntry) -> None:
        if entry.kind != "api_key":
            return
        for digest in [digest for digest, each in self._api_keys.items() if each == key]:
            del self._api_keys[digest]
        body = None if entry.deleted else self._decoded(entry, ApiKey)
        if body is not None:
            self._api_keys[body.sha256.lower()] = key

    def _forget(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        for version in self._versions.pop(key, {}):
            self._bodies.pop((key, version), None)
        if entry is not None:
            self._api_keys = {d: each for d, each in self._api_keys.items() if each != key}

    def _decoded(self, entry: ConfigEntry, shape: type[T]) -> T | None:
        at = ((entry.kind, entry.tenant_id, entry.id), entry.version)
        cached = self._bodies.get(at)
        if isinstance(cached, shape):
            return cached
        try:
            raw = msgspec.json.decode(entry.body)
            body = msgspec.convert(_known_only(raw, shape), shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            metrics.CONFIG_UNREADABLE.inc()
            _log.error("config_body_unreadable", kind=entry.kind, version=entry.version)
            return None
        self._bodies[at] = body
        return body

    def _announce(self) -> None:
        self._revision += 1
        counts: dict[str, int] = {}
        for entry in self._entries.values():
            counts[entry.kind] = counts.get(entry.kind, 0) + (not entry.deleted)
        for kind, count in counts.items():
            metrics.CONFIG_ENTRIES.labels(kind).set(count)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _known_only(raw: Any, shape: Any) -> Any:
    """Drop fields that `shape` does not know, so that a newer writer's addition is no error."""
    struct = _struct_of(shape)
    if struct is None or not isinstance(raw, Mapping):
        return raw
    known = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    return {name: _known_only(value, known[name]) for name, value in raw.items() if name in known}


def _struct_of(shape: Any) -> type[msgspec.Struct] | None:
    for each in (shape, *get_args(shape)):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            return each
    return None
