"""Mail on its way to the client's MX: sent, tried again, given up, witnessed.

In: a mail ready to send, and the line that will tell of it. Out: that line in the truth log once
its fate is known. 2xx and 5xx are the last word; no answer or 4xx is tried again after the
profile's delays, as webhooks are.
"""

import asyncio
from contextlib import suppress

import aiosmtplib
import msgspec

from deploy.sandbox.clock import machine_now
from deploy.sandbox.smtp_reports import MTA
from deploy.sandbox.truth import Entry
from deploy.sandbox.webhooks import Fate, Webhooks
from deploy.sandbox.witness import Witness

SENDERS_PER_TARGET = 4  # connections to one MX
PATIENCE_SECONDS = 15.0
OK_FIRST, REFUSED_FIRST, PERMANENT_FIRST = 200, 400, 500


class Letter(msgspec.Struct):
    """One mail from its first try to its last."""

    target: str
    return_path: str
    to: str
    content: bytes
    entry: Entry
    fate: Fate
    attempts: int = 0


class Mailer:
    """Sends letters and remembers what is still on its way."""

    def __init__(self, webhooks: Webhooks, witness: Witness) -> None:
        """Count as `webhooks` does, tell `witness`."""
        self._webhooks = webhooks
        self._witness = witness
        self._queues: dict[str, asyncio.Queue[Letter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, letter: Letter) -> None:
        """Send a letter on its way."""
        self._webhooks.pending += 1
        self._queue(letter)

    async def close(self) -> None:
        """Stop; what is on its way is dropped."""
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with suppress(asyncio.CancelledError):
                await task

    def _queue(self, letter: Letter) -> None:
        queue = self._queues.get(letter.target)
        if queue is None:
            queue = self._queues[letter.target] = asyncio.Queue()
            for _ in range(SENDERS_PER_TARGET):
                self._tasks.add(asyncio.ensure_future(self._work(letter.target, queue)))
        queue.put_nowait(letter)

    async def _work(self, target: str, queue: asyncio.Queue[Letter]) -> None:
        host, _, port = target.rpartition(":")
        client = aiosmtplib.SMTP(
            hostname=host,
            port=int(port),
            local_hostname=MTA,
            start_tls=False,
            timeout=PATIENCE_SECONDS,
        )
        while True:
            letter = await queue.get()
            letter.attempts += 1
            self._done(letter, await _sent(client, letter))

    def _done(self, letter: Letter, code: int | None) -> None:
        passing = code is None or REFUSED_FIRST <= code < PERMANENT_FIRST
        retries = self._webhooks.retry_ms
        if passing and letter.attempts <= len(retries):
            wait_ms = retries[letter.attempts - 1]
            asyncio.get_running_loop().call_later(wait_ms / 1_000, self._queue, letter)
            return
        self._webhooks.pending -= 1
        ok = code is not None and OK_FIRST <= code < REFUSED_FIRST
        kind = "callbacks" if letter.entry.kind == "callback" else "inbound"
        self._webhooks.counters[kind if ok else f"{kind}_failed"] += 1
        letter.entry.machine_at = machine_now()
        letter.entry.answered, letter.entry.attempts = code, letter.attempts
        self._witness.write(letter.entry)
        letter.fate(code)


async def _sent(client: aiosmtplib.SMTP, letter: Letter) -> int | None:
    """Return the code of the answer; None when there was none."""
    try:
        if not client.is_connected:
            await client.connect()
        await client.sendmail(letter.return_path, [letter.to], letter.content)
    except aiosmtplib.SMTPRecipientsRefused as error:
        return error.recipients[0].code
    except aiosmtplib.SMTPResponseException as error:
        return error.code
    except (aiosmtplib.SMTPException, OSError):
        client.close()
        return None
    return OK_FIRST + 50
