"""Webhooks of every provider on their way: posted, tried again, given up, witnessed.

In: a request ready to post (URL, headers with the provider's signature, body) and the line that
will tell of it. Out: that line in the truth log once its fate is known. A receiver that answers 2xx
to 4xx has had its say; no answer or 5xx is tried again after the profile's delays, then given up.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec

from deploy.sandbox.callbacks import CallbackClient, Post, UrlError
from deploy.sandbox.clock import machine_now
from deploy.sandbox.truth import Entry
from deploy.sandbox.witness import Witness

_SERVER_ERROR = 500

Fate = Callable[[int | None], None]


class Delivery(msgspec.Struct):
    """One webhook from its first try to its last.

    `head` is everything of the request but Host, up to and with the empty line before the body.
    `entries` are the lines of the truth log that it settles: one, or several when the provider
    reports several messages at once.
    """

    url: str
    head: bytes
    body: bytes
    entries: tuple[Entry, ...]
    fate: Fate
    attempts: int = 0


class Webhooks:
    """Posts webhooks and remembers what is still on its way."""

    def __init__(self, client: CallbackClient, witness: Witness) -> None:
        """Post through `client`, tell `witness`."""
        self._client = client
        self._witness = witness
        self.retry_ms: tuple[int, ...] = ()
        self.pending = 0
        self.counters = {"callbacks": 0, "callbacks_failed": 0, "inbound": 0, "inbound_failed": 0}

    def post(self, delivery: Delivery) -> None:
        """Send a webhook on its way."""
        self.pending += 1
        self._try(delivery)

    def _try(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        done = partial(self._done, delivery)
        try:
            self._client.post(Post(delivery.url, delivery.head, delivery.body, done))
        except UrlError:
            self._finish(delivery, None)

    def _done(self, delivery: Delivery, status: int | None) -> None:
        failed = status is None or status >= _SERVER_ERROR
        if failed and delivery.attempts <= len(self.retry_ms):
            wait_ms = self.retry_ms[delivery.attempts - 1]
            asyncio.get_running_loop().call_later(wait_ms / 1_000, self._try, delivery)
            return
        self._finish(delivery, status)

    def _finish(self, delivery: Delivery, status: int | None) -> None:
        self.pending -= 1
        ok = status is not None and status < 400  # noqa: PLR2004 - HTTP client errors begin
        now = machine_now()
        for entry in delivery.entries:
            kind = "callbacks" if entry.kind == "callback" else "inbound"
            self.counters[kind if ok else f"{kind}_failed"] += 1
            entry.machine_at = now
            entry.answered, entry.attempts = status, delivery.attempts
            self._witness.write(entry)
        delivery.fate(status)
