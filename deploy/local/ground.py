"""What a stack stands on: its database and its topics, on servers that may be somebody else's.

In: an admin URL, a bootstrap address, the stack's secrets. Out: a prepared database and topics, or
one line that says why this server is not to be touched: its roles have other passwords, its
database another mode, its topics the records of another database.
"""

from deploy.local import databases, keys
from deploy.local.databases import Database
from deploy.local.errors import CannotRun
from deploy.local.keys import Keys
from shared.events.topics import TOPICS
from shared.kafka import admin
from shared.kafka.client import ConnectionFailures
from shared.kafka.cluster import Brokers, address_of
from shared.kafka.errors import PartitionCountChanged


async def prepared(admin_url: str, name: str, secrets: Keys, *, mode: str) -> Database:
    """The database of this name, made if need be; never takes over another stack's."""
    there = Database(admin_url=admin_url, name=name, passwords=keys.passwords(secrets))
    await databases.refuse_roles_of_others(there)
    if not await databases.exists(admin_url, name):
        await databases.create(admin_url, name)
    made = await databases.prepare(admin_url, name, there.passwords, mode=mode)
    found = await databases.mode(made)
    if found != mode:
        raise CannotRun(f"database {name} is in {found} mode, not {mode}: use another server")
    return made


async def topics(brokers: Brokers, *, partitions: int, new: bool) -> None:
    """Create the topics; a `new` database must not stand on records it knows nothing about."""
    try:
        await admin.ensure_topics(brokers, partitions=partitions, replication=1)
    except ConnectionFailures as error:
        raise CannotRun(
            f"the Kafka at {address_of(brokers)} cannot be used ({type(error).__name__}): "
            "see KAFKA_BOOTSTRAP, KAFKA_SECURITY_PROTOCOL and what belongs to it"
        ) from error
    except PartitionCountChanged as error:
        raise CannotRun(str(error)) from None
    if not new:
        return
    ends = await admin.end_offsets(brokers, [topic.name for topic in TOPICS])
    if any(ends.values()):
        raise CannotRun(
            f"the Kafka at {address_of(brokers)} holds records of another database: "
            "empty it, use another, or unset KAFKA_BOOTSTRAP"
        )
