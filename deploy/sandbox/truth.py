"""The truth log: what the provider really received, accepted, refused and called back.

In: `record` at the instant a thing happens. Out: NDJSON lines in the order things happened, each
with machine time and law time. Lines are encoded once, when their law time is known, and kept in
memory up to a bound; older ones go to a file when one is given, and are gone otherwise (readers
are told so). Recipients appear only as a keyed digest, of the first of a person's addresses.
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

ENTRIES_MAX = 500_000  # about 350 bytes each: 175 MB, or 100,000 contacts with their callbacks
INDEX_EVERY = 10_000  # spilled lines per remembered file position
DIGEST_BYTES = 12  # enough that no two of a billion recipients meet by chance

_encoder = msgspec.json.Encoder()


class Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """One line. `kind` is request, accepted, refused, callback, inbound or payment.

    `code` is the provider's error code; `status` is the message status a callback told or the
    HTTP status of a refusal; `answered` is the HTTP status that the webhook's receiver gave (None:
    no answer); `fault` names the scripted fault that shaped this line. For a request, `law_at` is
    law time as the request arrived.
    """

    seq: int
    kind: str
    provider: str
    machine_at: datetime
    law_at: datetime | None = None
    account: str | None = None
    contact_id: str | None = None
    attempt_id: str | None = None
    debtor_id: str | None = None
    recipient: str | None = None
    message_sid: str | None = None
    status: str | None = None
    code: int | str | None = None
    answered: int | None = None
    attempts: int | None = None
    fault: str | None = None
    reply: str | None = None


class TruthLostError(LookupError):
    """Lines before `first` were dropped: they exceeded the memory bound and no file was given."""

    def __init__(self, first: int) -> None:
        """Name the first line that can still be read."""
        super().__init__(f"lines before {first} are gone; start the sandbox with --truth-file")
        self.first = first


def recipient_digest(seed: str, address: str) -> str:
    """Return how `address` appears in the truth log of a sandbox started with `seed`."""
    key = seed.encode()[:64]
    return blake2b(address.encode(), key=key, digest_size=DIGEST_BYTES).hexdigest()


class TruthLog:
    """Append-only log of what really happened."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX, spill: Path | None = None) -> None:
        """Keep `entries_max` lines in memory and older ones in the file `spill`, if any."""
        self._entries_max = entries_max
        self._file: BinaryIO | None = spill.open("w+b") if spill is not None else None
        self._index: list[int] = []
        self._spilled = 0
        self._lines: deque[bytes] = deque()
        self._first = 1
        self._next = 1
        self._open: dict[int, Entry] = {}
        self._stamped: dict[int, bytes] = {}

    @property
    def last(self) -> int:
        """Sequence number of the newest line that can be read."""
        return self._first + len(self._lines) - 1

    def open(self, entry: Entry) -> Entry:
        """Number a line as it happens; it can be read after `settle`."""
        entry.seq = self._next
        self._next += 1
        return entry

    def settle(self, entry: Entry, law_at: datetime) -> None:
        """Stamp a line with law time and make it readable behind all earlier ones."""
        entry.law_at = law_at
        self._stamped[entry.seq] = _encoder.encode(entry)
        due = self.last + 1
        while due in self._stamped:
            self._lines.append(self._stamped.pop(due))
            due += 1
        while len(self._lines) > self._entries_max:
            self._spill(self._lines.popleft())

    def after(self, seq: int, limit: int) -> Iterator[bytes]:
        """Yield up to `limit` lines behind `seq`; raises `TruthLostError` when they are gone."""
        if seq + 1 < self._first:
            if self._file is None:
                raise TruthLostError(self._first)
            for line in self._from_file(seq, limit):
                yield line
                limit -= 1
        start = max(0, seq + 1 - self._first)
        yield from islice(self._lines, start, start + max(0, limit))

    def close(self) -> None:
        """Close the spill file."""
        if self._file is not None:
            self._file.close()

    def _spill(self, line: bytes) -> None:
        self._first += 1
        if self._file is None:
            return
        self._file.seek(0, 2)
        if self._spilled % INDEX_EVERY == 0:
            self._index.append(self._file.tell())
        self._file.write(line + b"\n")
        self._spilled += 1

    def _from_file(self, seq: int, limit: int) -> Iterator[bytes]:
        file = self._file
        if file is None or limit <= 0:
            return
        file.seek(self._index[seq // INDEX_EVERY])
        for _ in range(seq % INDEX_EVERY):
            file.readline()
        for _ in range(min(limit, self._spilled - seq)):
            yield file.readline().rstrip(b"\n")
