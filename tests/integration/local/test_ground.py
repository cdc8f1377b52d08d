"""A stack on somebody else's servers: it takes what is free and refuses what is taken."""

from uuid import uuid4

import pytest

from deploy.local import databases, ground, keys
from deploy.local.errors import CannotRun
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from shared.events.topics import DEBT_EVENTS
from shared.kafka.producer import Producer
from shared.kafka.records import Outgoing


async def test_roles_of_another_stack_keep_their_passwords(own_postgres: Postgres) -> None:
    url = own_postgres.admin_url
    first = await ground.prepared(url, "regua", keys.made(), mode="sandbox")
    with pytest.raises(CannotRun, match=r"passwords of another stack.*unset POSTGRES_URL"):
        await ground.prepared(url, "other", keys.made(), mode="sandbox")
    await databases.refuse_roles_of_others(first)  # they still take the first stack's passwords
    assert not await databases.exists(url, "other")


async def test_a_database_of_the_other_mode_is_refused(own_postgres: Postgres) -> None:
    secrets = keys.made()
    await ground.prepared(own_postgres.admin_url, "regua", secrets, mode="production")
    with pytest.raises(CannotRun, match="database regua is in production mode, not sandbox"):
        await ground.prepared(own_postgres.admin_url, "regua", secrets, mode="sandbox")


async def test_a_new_database_does_not_stand_on_old_records(own_kafka: Kafka) -> None:
    await ground.topics(own_kafka.bootstrap, partitions=2, new=True)
    producer = Producer(own_kafka.bootstrap, client_id="test")
    await producer.start()
    try:
        key = str(uuid4())
        await producer.publish([Outgoing(topic=DEBT_EVENTS.name, key=key, headers=[], value=b"{}")])
    finally:
        await producer.stop()
    with pytest.raises(CannotRun, match=r"records of another database.*unset KAFKA_BOOTSTRAP"):
        await ground.topics(own_kafka.bootstrap, partitions=2, new=True)
    await ground.topics(own_kafka.bootstrap, partitions=2, new=False)
