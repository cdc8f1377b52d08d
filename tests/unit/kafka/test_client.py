"""The settings on which promises stand: stated, never defaulted."""

from typing import Any, cast

from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from shared.kafka import client
from shared.kafka.client import ConsumerSettings


async def test_a_group_member_reads_from_the_earliest_and_never_commits_by_itself() -> None:
    made = cast("Any", client.new_group_consumer("localhost:1", "g", ConsumerSettings()))
    made._closed = True  # never started: nothing to close
    assert made._auto_offset_reset == "earliest"
    assert made._enable_auto_commit is False
    assert made._session_timeout_ms == 30_000
    assert made._heartbeat_interval_ms == 10_000
    assert made._rebalance_timeout_ms == 60_000
    assert made._partition_assignment_strategy == (RangePartitionAssignor,)
    assert made._group_instance_id is None  # static membership stalls when it is fenced
    # Otherwise JoinGroup times out in the middle of every slow rebalance and starts it again.
    assert made._request_timeout_ms >= made._rebalance_timeout_ms + 5_000


async def test_a_reader_joins_no_group() -> None:
    made = cast("Any", client.new_reader("localhost:1"))
    made._closed = True
    assert made._group_id is None
    assert made._auto_offset_reset == "earliest"
    assert made._enable_auto_commit is False


async def test_the_producer_is_idempotent_and_waits_for_all_replicas() -> None:
    made = cast("Any", client.new_producer("localhost:1", "c"))
    made._closed = True
    assert made._txn_manager is not None
    assert made._sender._acks == -1
    assert made._message_accumulator._batch_size < 1_048_588  # the broker's limit of a batch
