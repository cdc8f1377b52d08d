"""Kafka, once and for all services: the only importer of aiokafka.

In: whole batches to publish, topics to read. Out: `Producer`, `GroupConsumer`, `CompactedReader`,
`DeadLetters` and the admin functions (`shared.kafka.admin`). Offsets live with the work in
PostgreSQL; redelivery is normal; every loop survives a broker that is away.
"""

from shared.kafka.client import ConsumerSettings
from shared.kafka.cluster import Brokers, Cluster, cluster_of
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.errors import (
    KafkaSilent,
    PartitionCountChanged,
    Poison,
    PublishFailed,
    SlowDown,
    StopPartition,
)
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.kafka.records import Outgoing, Record, TopicPartition, partition_of

__all__ = [
    "Brokers",
    "Cluster",
    "CompactedReader",
    "ConsumerSettings",
    "DeadLetters",
    "GroupConsumer",
    "KafkaSilent",
    "Outgoing",
    "PartitionCountChanged",
    "Poison",
    "Producer",
    "PublishFailed",
    "Record",
    "SlowDown",
    "StopPartition",
    "TopicPartition",
    "cluster_of",
    "partition_of",
]
