"""Configuration in memory: newest wins, old versions stay readable, newer writers do no harm."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from shared.directory import VERSIONS_KEPT, Directory
from shared.events.configuration import ApiKey, ConfigEntry, Portfolio, Template, Tenant
from shared.events.envelope import encode
from shared.kafka.records import Record
from shared.telemetry import metrics

WHEN = datetime(2026, 3, 2, tzinfo=UTC)


def an_entry(body: object, *, kind: str = "tenant", id: str = "x", version: int = 1,  # noqa: A002
             tenant_id: str = "acme", deleted: bool = False) -> ConfigEntry:  # fmt: skip
    return ConfigEntry(
        kind=kind,
        tenant_id=tenant_id,
        id=id,
        version=version,
        body=msgspec.Raw(msgspec.json.encode(body)),
        changed_at=WHEN,
        changed_by="operator",
        deleted=deleted,
    )


def a_template(text: str, version: int) -> ConfigEntry:
    body = Template(channel="sms", content_class="utility", texts={"pt-BR": text})
    return an_entry(body, kind="template", id="reminder", version=version)


def a_key(presented: str, *, version: int = 1, deleted: bool = False) -> ConfigEntry:
    digest = hashlib.sha256(presented.encode()).hexdigest()
    body = ApiKey(sha256=digest, scopes=("read",), label="test")
    return an_entry(body, kind="api_key", id="k1", version=version, deleted=deleted)


def test_the_newest_version_wins_in_any_order() -> None:
    directory = Directory()
    directory.apply([an_entry(Tenant(name="new"), version=2)])
    directory.apply([an_entry(Tenant(name="old"), version=1)])
    assert directory.version("tenant", "acme", "x") == 2
    assert directory.body("tenant", "acme", "x", Tenant) == Tenant(name="new")


def test_a_body_is_decoded_once_per_version() -> None:
    directory = Directory()
    directory.apply([an_entry(Tenant(name="one"))])
    first = directory.body("tenant", "acme", "x", Tenant)
    assert directory.body("tenant", "acme", "x", Tenant) is first
    directory.apply([an_entry(Tenant(name="two"), version=2)])
    assert directory.body("tenant", "acme", "x", Tenant) == Tenant(name="two")


def test_unknown_and_deleted_entries_are_none() -> None:
    directory = Directory()
    assert directory.get("tenant", "acme", "x") is None
    directory.apply([an_entry(Tenant(name="one"))])
    directory.apply([an_entry(Tenant(name="one"), version=2, deleted=True)])
    assert directory.get("tenant", "acme", "x") is None
    assert directory.body("tenant", "acme", "x", Tenant) is None
    assert directory.entries("tenant") == []
    directory.apply([an_entry(Tenant(name="stale"), version=1)])
    assert directory.get("tenant", "acme", "x") is None


def test_tenants_do_not_see_each_other() -> None:
    directory = Directory()
    directory.apply([an_entry(Tenant(name="a")), an_entry(Tenant(name="b"), tenant_id="beta")])
    assert directory.body("tenant", "beta", "x", Tenant) == Tenant(name="b")
    assert [each.tenant_id for each in directory.entries("tenant", "acme")] == ["acme"]
    assert len(directory.entries("tenant")) == 2


def test_older_template_versions_stay_readable() -> None:
    directory = Directory()
    directory.apply([a_template("v1", 1), a_template("v2", 2)])
    old, new = directory.template("acme", "reminder", 1), directory.template("acme", "reminder", 2)
    assert old is not None
    assert new is not None
    assert (old.texts, new.texts) == ({"pt-BR": "v1"}, {"pt-BR": "v2"})
    assert directory.template("acme", "reminder", 3) is None


def test_only_so_many_versions_are_kept() -> None:
    directory = Directory()
    directory.apply(a_template("text", version) for version in range(1, VERSIONS_KEPT + 5))
    assert directory.template("acme", "reminder", 4) is None
    assert directory.template("acme", "reminder", 5) is not None


def test_fields_of_a_newer_writer_are_ignored_at_every_depth() -> None:
    body = {
        "creditor_name": "Banco", "collector_role": "first_party", "country": "BR",
        "currency": "BRL", "locale": "pt-BR", "ladder_id": "standard", "accounts": {"sms": "main"},
        "packs": ["br"], "invented_later": {"x": 1},
        "fees": {"principal_pct": 5.0, "invented_later": True},
    }  # fmt: skip
    directory = Directory()
    directory.apply([an_entry(body, kind="portfolio")])
    portfolio = directory.body("portfolio", "acme", "x", Portfolio)
    assert portfolio is not None
    assert portfolio.accounts == {"sms": "main"}
    assert portfolio.fees.principal_pct == 5.0


def test_an_unreadable_body_is_none_and_counted() -> None:
    directory = Directory()
    directory.apply([an_entry({"name": 7})])
    before = metrics.REGISTRY.get_sample_value("regua_config_unreadable_total") or 0.0
    assert directory.body("tenant", "acme", "x", Tenant) is None
    assert metrics.REGISTRY.get_sample_value("regua_config_unreadable_total") == before + 1


def test_an_api_key_is_found_by_digest_until_it_is_replaced_or_deleted() -> None:
    directory = Directory()
    directory.apply([a_key("first")])
    first, second = (hashlib.sha256(each).hexdigest() for each in (b"first", b"second"))
    found = directory.api_key(first)
    assert found is not None
    assert found[:2] == ("acme", "k1")
    directory.apply([a_key("second", version=2)])
    assert directory.api_key(first) is None
    assert directory.api_key(second) is not None
    directory.apply([a_key("second", version=3, deleted=True)])
    assert directory.api_key(second) is None


async def test_waiting_ends_when_the_entry_arrives() -> None:
    directory = Directory()
    waiting = asyncio.ensure_future(directory.wait_for("tenant", "acme", "x", 5, version=2))
    await asyncio.sleep(0)
    directory.apply([an_entry(Tenant(name="one"))])
    await asyncio.sleep(0)
    assert not waiting.done()
    directory.apply([an_entry(Tenant(name="two"), version=2)])
    assert await waiting


async def test_waiting_ends_when_time_is_up() -> None:
    assert not await Directory().wait_for("tenant", "acme", "x", 0.01)


class Listed:
    """A topic's records, once."""

    def __init__(self, *records: tuple[str, bytes | None]) -> None:
        self._records = records

    async def batches(self) -> AsyncIterator[Sequence[Record]]:
        yield [
            Record(
                topic="t", partition=0, offset=at, key=key, headers={}, value=value, timestamp_ms=0
            )
            for at, (key, value) in enumerate(self._records)
        ]


async def test_following_passes_over_unreadable_records_and_forgets_removed_ones() -> None:
    kept, removed = an_entry(Tenant(name="kept")), an_entry(Tenant(name="gone"), id="y")
    directory = Directory()
    await directory.follow(
        Listed(
            (kept.key, encode(kept)),
            (removed.key, encode(removed)),
            ("tenant/acme/z", b"{not json"),
            (removed.key, None),
            ("odd", None),
        )
    )
    assert directory.body("tenant", "acme", "x", Tenant) == Tenant(name="kept")
    assert directory.get("tenant", "acme", "y") is None
    assert directory.revision == 1


@pytest.mark.parametrize("presented", ["", "0" * 64])
def test_an_unknown_digest_is_nobody(presented: str) -> None:
    assert Directory().api_key(presented) is None
