"""Brokers that ask for TLS, certificates and passwords: served, or refused, as settings say."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from aiokafka.errors import KafkaConnectionError

from deploy.local import given_kafka, ground, keys, servers
from deploy.local.databases import Database
from deploy.local.errors import CannotRun
from deploy.local.stack import Options, Stack
from shared.kafka import CompactedReader, ConsumerSettings, GroupConsumer, Producer, admin
from shared.kafka.client import close_quietly, new_reader
from shared.kafka.cluster import Cluster, cluster_of
from shared.settings import ServiceSettings, parse
from tests.support.bus import outgoing, until
from tests.support.certificates import Authority
from tests.support.protected_kafka import PASSWORD, USER, ProtectedKafka

Given = dict[str, str]
Clustered = Callable[[str, Given], Cluster]
TOPIC = "debt.events.v1"


class Probe(ServiceSettings):
    service_name: ClassVar[str] = "probe"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def broker(run_folder: Path, authority: Authority) -> Iterator[ProtectedKafka]:
    server = ProtectedKafka(run_folder / "protected-kafka", authority)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def clustered(
    broker: ProtectedKafka, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Clustered:
    """Read a service's settings from variables, and return the cluster that they describe."""

    def made(protocol: str, given: Given) -> Cluster:
        variables = {
            "KAFKA_BOOTSTRAP": broker.addresses[protocol],
            "KAFKA_SECURITY_PROTOCOL": protocol,
            "POSTGRES_URL": "postgresql://regua_probe:x9@127.0.0.1/regua",
        }
        if protocol.endswith("SSL"):
            variables["KAFKA_TLS_CA_FILE"] = str(authority.ca)
        for name, value in (variables | given).items():
            monkeypatch.setenv(name, value)
        return cluster_of(parse(Probe))

    return made


def login(mechanism: str, password: str = PASSWORD) -> Given:
    return {
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": password,
    }


def shown(certificate: tuple[Path, Path], **more: str) -> Given:
    files = {"KAFKA_TLS_CERTIFICATE_FILE": certificate[0], "KAFKA_TLS_KEY_FILE": certificate[1]}
    return {name: str(path) for name, path in files.items()} | more


async def refused(cluster: Cluster) -> bool:
    """Say whether the brokers (or we) refuse the connection."""
    reader = new_reader(cluster)
    try:
        await reader.start()
    except KafkaConnectionError:
        return True
    else:
        return False
    finally:
        await close_quietly(reader.stop())


@asynccontextmanager
async def started(cluster: Cluster) -> AsyncIterator[Producer]:
    producer = Producer(cluster, start_seconds_max=20.0)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def carries_records(cluster: Cluster, suffix: str) -> None:
    """Make topics, publish, read in a group and whole: every kind of client connects."""
    await admin.ensure_topics(cluster, partitions=1, replication=1, suffix=suffix)
    async with started(cluster) as producer:
        await producer.publish([outgoing(TOPIC + suffix, "key", 1)])
        assert await producer.cluster_id() == await admin.cluster_id(cluster)
    group = GroupConsumer(cluster, f"group{suffix}", [TOPIC + suffix], ConsumerSettings())
    await group.start()
    got: list[object] = []

    async def read() -> bool:
        for records in (await group.fetch(None, 100)).values():
            got.extend(records)
        return bool(got)

    await until(read)
    await group.stop()
    reader = CompactedReader(cluster, TOPIC + suffix)
    async for batch in reader.batches():
        assert len(batch) == 1
        await reader.stop()


async def test_a_password_over_tls(clustered: Clustered, topic_suffix: str) -> None:
    await carries_records(clustered("SASL_SSL", login("SCRAM-SHA-512")), topic_suffix)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
async def test_other_ways_to_prove_a_password(clustered: Clustered, mechanism: str) -> None:
    assert not await refused(clustered("SASL_SSL", login(mechanism)))


async def test_a_password_without_tls(clustered: Clustered, topic_suffix: str) -> None:
    await carries_records(clustered("SASL_PLAINTEXT", login("SCRAM-SHA-512")), topic_suffix)


async def test_a_certificate_of_our_own(
    clustered: Clustered, authority: Authority, topic_suffix: str
) -> None:
    await carries_records(clustered("SSL", shown(authority.issue("sender"))), topic_suffix)


async def test_a_certificate_whose_key_is_encrypted(
    clustered: Clustered, authority: Authority
) -> None:
    certificate = authority.issue("locked", password="open-Sesame")
    cluster = clustered("SSL", shown(certificate, KAFKA_TLS_KEY_PASSWORD="open-Sesame"))
    assert not await refused(cluster)


async def test_a_wrong_password_is_refused(clustered: Clustered) -> None:
    assert await refused(clustered("SASL_SSL", login("SCRAM-SHA-512", "wrong-Word-1")))


async def test_a_client_without_a_certificate_is_refused(clustered: Clustered) -> None:
    assert await refused(clustered("SSL", {}))


async def test_a_certificate_of_another_authority_is_refused(
    clustered: Clustered, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    assert await refused(clustered("SSL", shown(stranger.issue("sender"))))


async def test_brokers_that_show_an_unknown_certificate_are_refused(
    clustered: Clustered, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    given = login("SCRAM-SHA-512") | {"KAFKA_TLS_CA_FILE": str(stranger.ca)}
    assert await refused(clustered("SASL_SSL", given))


async def test_brokers_whose_certificate_names_another_host_are_refused(
    clustered: Clustered, broker: ProtectedKafka
) -> None:
    port = broker.addresses["SASL_SSL"].rpartition(":")[2]
    given = login("SCRAM-SHA-512") | {"KAFKA_BOOTSTRAP": f"127.0.0.2:{port}"}
    assert await refused(clustered("SASL_SSL", given))


def test_a_stack_stands_on_brokers_that_ask_for_proof(
    clustered: Clustered, monkeypatch: pytest.MonkeyPatch, run_folder: Path
) -> None:
    """As `make up` does it: the stack makes its topics, and a service of it finds them."""
    clustered("SASL_SSL", login("SCRAM-SHA-512"))
    monkeypatch.delenv("POSTGRES_URL")
    stack = Stack(Options(folder=run_folder / "protected-stack"))
    stack._make_topics()
    passwords = keys.passwords(stack.keys)
    stack._database = Database(
        admin_url="postgresql://x@127.0.0.1/x", name="x", passwords=passwords
    )
    assert "every topic is there" in stack.command("scheduler", "topics")


def test_a_stack_of_its_own_broker_is_told_nothing_of_others(clustered: Clustered) -> None:
    clustered("SASL_SSL", login("SCRAM-SHA-512"))
    assert given_kafka.environment_of(servers.kafka(Path()))["KAFKA_SASL_USERNAME"] == USER
    own = Stack(Options(own_servers=True))
    assert given_kafka.environment_of(own.kafka) == {}
    assert given_kafka.brokers_of(own.kafka) == own.kafka.bootstrap


def test_a_stack_names_what_is_missing(
    clustered: Clustered, monkeypatch: pytest.MonkeyPatch
) -> None:
    clustered("SASL_SSL", login("SCRAM-SHA-512"))
    monkeypatch.delenv("KAFKA_SASL_PASSWORD")
    with pytest.raises(CannotRun, match="KAFKA_SASL_PASSWORD"):
        servers.kafka(Path())


async def test_a_stack_says_that_brokers_refuse_it(
    clustered: Clustered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "START_SECONDS_MAX", 0.5)
    cluster = clustered("SASL_SSL", login("SCRAM-SHA-512", "wrong-Word-1"))
    with pytest.raises(CannotRun, match=r"cannot be used .* KAFKA_SECURITY_PROTOCOL"):
        await ground.topics(cluster, partitions=1, new=True)


async def test_a_password_is_not_shown(clustered: Clustered) -> None:
    assert PASSWORD not in repr(clustered("SASL_SSL", login("SCRAM-SHA-512")))
