"""Group commit: everybody gets their own answer, batches grow with load."""

import asyncio

import pytest

from shared.postgres.batches import BatchWriter, WriterClosed


async def test_each_submitter_gets_its_own_result_and_waiters_share_a_flush() -> None:
    sizes: list[int] = []
    gate = asyncio.Event()
    began = asyncio.Event()

    async def flush(items: list[int]) -> list[int]:
        sizes.append(len(items))
        began.set()
        await gate.wait()
        return [item * 2 for item in items]

    writer: BatchWriter[int, int] = BatchWriter(flush, max_items=50)
    submitted = [asyncio.ensure_future(writer.submit(number)) for number in range(120)]
    await began.wait()
    assert writer.pending() > 0
    gate.set()
    assert await asyncio.gather(*submitted) == [number * 2 for number in range(120)]
    assert sum(sizes) == 120
    assert max(sizes) == 50
    assert writer.pending() == 0


async def test_an_idle_writer_flushes_at_once_without_linger() -> None:
    async def flush(items: list[int]) -> list[int]:
        return items

    writer: BatchWriter[int, int] = BatchWriter(flush, max_items=10, linger_ms=60_000)
    assert await asyncio.wait_for(writer.submit(7), 1) == 7


async def test_a_failed_flush_fails_its_batch_and_only_its_batch() -> None:
    async def flush(items: list[int]) -> list[int]:
        if 13 in items:
            msg = "unlucky"
            raise ValueError(msg)
        return items

    writer: BatchWriter[int, int] = BatchWriter(flush, max_items=1)
    results = await asyncio.gather(
        *(writer.submit(number) for number in (12, 13, 14)), return_exceptions=True
    )
    assert results[0] == 12
    assert isinstance(results[1], ValueError)
    assert results[2] == 14


async def test_a_missing_result_is_an_error_and_not_somebody_elses_answer() -> None:
    async def flush(items: list[int]) -> list[int]:
        return items[:-1]

    writer: BatchWriter[int, int] = BatchWriter(flush, max_items=10)
    with pytest.raises(RuntimeError, match="0 results for 1 items"):
        await writer.submit(1)


async def test_a_cancelled_submitter_does_not_take_its_item_back() -> None:
    written: list[int] = []
    gate = asyncio.Event()
    began = asyncio.Event()

    async def flush(items: list[int]) -> list[int]:
        began.set()
        await gate.wait()
        written.extend(items)
        return items

    writer: BatchWriter[int, int] = BatchWriter(flush, max_items=10)
    impatient = asyncio.ensure_future(writer.submit(1))
    await began.wait()
    impatient.cancel()
    gate.set()
    await writer.close()
    assert written == [1]
    with pytest.raises(WriterClosed, match="closed"):
        await writer.submit(2)
