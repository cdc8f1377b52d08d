"""Topics: created once, kept as their table says, never with another partition count."""

import pytest

from shared.events.topics import TOPICS, dead_letters
from shared.kafka import PartitionCountChanged, admin


async def test_all_topics_and_their_dead_letters_exist_after_the_first_call(
    kafka_bootstrap: str, topic_suffix: str
) -> None:
    names = [f"{topic.name}{topic_suffix}" for topic in TOPICS]
    wanted = [*names, *(dead_letters(name) for name in names)]
    first = await admin.ensure_topics(
        kafka_bootstrap, partitions=2, replication=1, suffix=topic_suffix
    )
    again = await admin.ensure_topics(
        kafka_bootstrap, partitions=2, replication=1, suffix=topic_suffix
    )
    assert first == again == await admin.cluster_id(kafka_bootstrap)
    assert await admin.partition_counts(kafka_bootstrap, wanted) == dict.fromkeys(wanted, 2)
    ends = await admin.end_offsets(kafka_bootstrap, names)
    assert ends == {(name, number): 0 for name in names for number in range(2)}


async def test_another_partition_count_is_refused_by_name(
    kafka_bootstrap: str, topic_suffix: str
) -> None:
    await admin.ensure_topics(kafka_bootstrap, partitions=2, replication=1, suffix=topic_suffix)
    with pytest.raises(PartitionCountChanged, match=r"has 2 partitions but was created with 3"):
        await admin.ensure_topics(kafka_bootstrap, partitions=3, replication=1, suffix=topic_suffix)
