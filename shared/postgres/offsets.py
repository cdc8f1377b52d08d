"""Offsets that live with the work: where a consumer goes on, stored in the work's transaction.

In: the next offset per partition after a batch. Out: where to resume. Offsets of another cluster
(an emptied broker) count as zero: they would skip records silently.
"""

from collections.abc import Collection, Mapping

from shared.postgres.connection import Connection

TopicPartition = tuple[str, int]


async def load(
    conn: Connection, consumer: str, cluster_id: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the next offset of every partition asked for; 0 where nothing is stored."""
    rows = await conn.fetch(
        """
        SELECT topic, partition, next_offset FROM consumer_offset
        WHERE consumer = $1 AND cluster_id = $2
        """,
        consumer,
        cluster_id,
    )
    stored = {(row["topic"], row["partition"]): int(row["next_offset"]) for row in rows}
    return {target: stored.get(target, 0) for target in partitions}


async def save(
    conn: Connection, consumer: str, cluster_id: str, offsets: Mapping[TopicPartition, int]
) -> None:
    """Store the next offset per partition, in the transaction of the work."""
    targets = sorted(offsets)
    await conn.execute(
        """
        INSERT INTO consumer_offset (consumer, topic, partition, next_offset, cluster_id)
        SELECT $1, topic, partition, next_offset, $2
        FROM unnest($3::text[], $4::int[], $5::bigint[]) AS given (topic, partition, next_offset)
        ON CONFLICT (consumer, topic, partition) DO UPDATE
        SET next_offset = excluded.next_offset, cluster_id = excluded.cluster_id
        """,
        consumer,
        cluster_id,
        [topic for topic, _ in targets],
        [partition for _, partition in targets],
        [offsets[target] for target in targets],
    )


async def check_partition_count(conn: Connection, topic: str, count: int) -> None:
    """Remember a topic's partition count at first sight; later raise `PartitionCountChanged`."""
    # Imported here: stores that only keep offsets need no Kafka client.
    from shared.kafka.errors import PartitionCountChanged  # noqa: PLC0415

    stored = await conn.fetchval(
        """
        INSERT INTO topic_partitions (topic, partitions) VALUES ($1, $2)
        ON CONFLICT (topic) DO UPDATE SET topic = excluded.topic
        RETURNING partitions
        """,
        topic,
        count,
    )
    if stored != count:
        raise PartitionCountChanged(topic, int(stored), count)
