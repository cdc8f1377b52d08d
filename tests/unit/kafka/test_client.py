"""The settings on which promises stand: stated, never defaulted."""

import asyncio
from typing import Any, cast

import pytest
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


async def test_connecting_is_tried_until_it_succeeds() -> None:
    tries: list[int] = []

    async def third() -> str:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ConnectionRefusedError
        return "connected"

    assert await client.attempt_until(third, 5.0) == "connected"
    assert len(tries) == 3


async def test_connecting_ends_at_its_limit_with_the_last_error() -> None:
    tries: list[float] = []
    clock = asyncio.get_running_loop().time

    async def never() -> str:
        tries.append(clock())
        msg = f"try {len(tries)}"
        raise ConnectionRefusedError(msg)

    started = clock()
    with pytest.raises(ConnectionRefusedError) as caught:
        await client.attempt_until(never, 0.5)
    assert str(caught.value) == f"try {len(tries)}"
    assert len(tries) >= 2
    assert tries[-1] - started <= 0.6  # no try begins after the limit


async def test_what_waiting_cannot_mend_is_not_tried_again() -> None:
    tries: list[int] = []

    async def wrong() -> str:
        tries.append(1)
        raise LookupError

    with pytest.raises(LookupError):
        await client.attempt_until(wrong, 5.0)
    assert len(tries) == 1
