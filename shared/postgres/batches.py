"""Group commit: single submissions share one transaction.

In: items submitted one by one (webhooks, single posts). Out: each submitter gets its own result
after the batch that carried it was flushed; while one batch is flushed the next one gathers, so
batches grow with load by themselves and an idle system waits for nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WAITING_BATCHES_MAX = 8  # submissions beyond so many full batches wait at the door


class WriterClosed(ConnectionError):
    """The process is stopping: like a database that is away, ask again."""


class BatchWriter(Generic[T, R]):
    """Gathers items and flushes them together, one flush at a time."""

    def __init__(
        self,
        flush: Callable[[list[T]], Awaitable[list[R]]],
        max_items: int,
        linger_ms: float = 0.0,
    ) -> None:
        """`flush` returns one result per item, in order; `linger_ms` is waited only when busy."""
        self._flush = flush
        self._max_items = max_items
        self._linger_seconds = linger_ms / 1000
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._room = asyncio.Semaphore(max_items * WAITING_BATCHES_MAX)
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: T) -> R:
        """Wait until the batch with `item` is flushed; return its result or raise its error.

        A failed flush fails every item of its batch. A cancelled caller's item is still written.
        Raise `WriterClosed` after `close`.
        """
        if self._closed:
            msg = "the writer is closed"
            raise WriterClosed(msg)
        await self._room.acquire()
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(lambda _: self._room.release())
        self._waiting.append((item, outcome))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return await asyncio.shield(outcome)

    def pending(self) -> int:
        """Items not flushed yet."""
        flushing = self._worker is not None and not self._worker.done()
        return len(self._waiting) + int(flushing)

    async def close(self) -> None:
        """Flush what waits and accept nothing more."""
        self._closed = True
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        busy = False
        while self._waiting:
            if busy and self._linger_seconds and len(self._waiting) < self._max_items:
                await asyncio.sleep(self._linger_seconds)
            taken = min(len(self._waiting), self._max_items)
            await self._write([self._waiting.popleft() for _ in range(taken)])
            busy = True

    async def _write(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
            if len(results) != len(batch):
                msg = f"flush returned {len(results)} results for {len(batch)} items"
                raise RuntimeError(msg)  # noqa: TRY301 - must reach every submitter like any error
        except Exception as error:  # noqa: BLE001 - handed to the submitters, whatever it is
            for _, outcome in batch:
                if not outcome.done():
                    outcome.set_exception(error)
                    outcome.exception()  # seen: a cancelled submitter must not cause a warning
            return
        for (_, outcome), result in zip(batch, results, strict=True):
            if not outcome.done():
                outcome.set_result(result)
