"""Notes for the truth log: who did what to which message, stamped with both clocks.

In: an event and the message it is about. Out: a line of the truth log, readable once law time is
known. Every provider notes through the same witness, so that lines look alike.
"""

from deploy.sandbox.clock import LawClock, machine_now
from deploy.sandbox.messages import Message
from deploy.sandbox.people import People
from deploy.sandbox.truth import Entry, TruthLog, recipient_digest


class Witness:
    """Writes into one truth log by one clock."""

    def __init__(self, truth: TruthLog, clock: LawClock, people: People, seed: str) -> None:
        """Write into `truth`, stamp by `clock`; who is who, `people` know."""
        self._people = people
        self._seed = seed
        self._truth = truth
        self._clock = clock

    def entry(self, kind: str, provider: str, about: Message | None) -> Entry:
        """Return a line about a message, not written yet."""
        entry = Entry(seq=0, kind=kind, provider=provider, machine_at=machine_now())
        if about is not None:
            entry.account = about.account_id
            entry.contact_id = about.contact_id
            entry.attempt_id = about.attempt_id
            entry.debtor_id = about.debtor_id
            first = self._people.first_address(about.to)
            alone = first == about.to
            entry.recipient = about.person if alone else recipient_digest(self._seed, first)
        return entry

    def write(self, entry: Entry) -> None:
        """Write a line as it is now."""
        self._truth.open(entry)
        self._clock.stamp(lambda law: self._truth.settle(entry, law))

    def note(
        self,
        kind: str,
        provider: str,
        about: Message | None,
        *,
        code: int | str | None = None,
        status: str | None = None,
        fault: str | None = None,
        account: str | None = None,
    ) -> None:
        """Write a line about a message, or about an `account` when there is no message."""
        entry = self.entry(kind, provider, about)
        if about is None:
            entry.account = account
        elif kind == "accepted":
            entry.message_sid = about.sid
        entry.code, entry.status, entry.fault = code, status, fault
        self.write(entry)
