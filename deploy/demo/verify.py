"""The independent verifier: was anything lost, anybody contacted twice, anybody unlawfully?

In: what intake accepted, the sandbox's truth log, the ledger's exports, who the debtors are and
when each of them had to be left alone. Out: a `Verdict`, three lists of findings with counts and
named examples. Pure functions on plain structs, no code shared with the services, so that what is
wrong there shows here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from deploy.demo import law
from deploy.demo.evidence import CLASSES, Evidence, Item, LedgerContact, Person, Stop, TruthLine

EXAMPLES_MAX = 5
STOP_GRACE = timedelta(seconds=5)  # the promise: no call starts later than this after a stop
CLOSING_GRACE = timedelta(minutes=15)  # a contact is final or unknown this long after its window


class Finding(msgspec.Struct, frozen=True):
    """One kind of violation: how often, and who for example."""

    kind: str
    count: int
    examples: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True):
    """What was found; each number is the sum of its findings."""

    lost: tuple[Finding, ...]
    duplicates: tuple[Finding, ...]
    unlawful: tuple[Finding, ...]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Lost, duplicates, unlawful."""
        return _total(self.lost), _total(self.duplicates), _total(self.unlawful)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.counts == (0, 0, 0)


def verify(evidence: Evidence) -> Verdict:
    """Look at all the evidence."""
    calls = [line for line in evidence.truth if line.kind == "accepted"]
    return Verdict(
        lost=_findings(
            events_missing=_events_missing(evidence),
            acceptance_unrecorded=_acceptance_unrecorded(calls, evidence.contacts),
            sent_but_never_accepted=_never_accepted(calls, evidence.contacts),
            contact_left_open=_left_open(evidence),
            balance_mismatch=_balance(evidence),
        ),
        duplicates=_findings(
            contact_accepted_twice=_accepted_twice(calls),
            step_sent_twice=_step_twice(calls, evidence.contacts),
            ledger_accepted_twice=[c.contact_id for c in evidence.contacts if c.accepted > 1],
        ),
        unlawful=_findings(
            unknown_recipient=_unknown(calls, evidence.people),
            outside_hours=_outside_hours(calls, evidence.people),
            above_cap=_above_cap(calls, evidence.people, evidence.contacts),
            after_stop=_after_stop(calls, evidence.stops, evidence.contacts),
        ),
    )


# Lost.


def _events_missing(evidence: Evidence) -> list[str]:
    kept = {event.event_id for event in evidence.accepted if event.status != "refused"}
    return sorted(kept - evidence.ledger_events)


def _acceptance_unrecorded(
    calls: Sequence[TruthLine], contacts: Sequence[LedgerContact]
) -> list[str]:
    sent = {contact.contact_id for contact in contacts if contact.balance_class == "sent"}
    return [
        call.contact_id or f"line {call.seq} carries no contact id"
        for call in calls
        if call.contact_id not in sent
    ]


def _never_accepted(calls: Sequence[TruthLine], contacts: Sequence[LedgerContact]) -> list[str]:
    taken = {call.contact_id for call in calls}
    return [
        contact.contact_id
        for contact in contacts
        if contact.balance_class == "sent" and contact.contact_id not in taken
    ]


def _left_open(evidence: Evidence) -> list[str]:
    """Contacts without an outcome although their window closed, or of no class at all."""
    return [
        contact.contact_id
        for contact in evidence.contacts
        if contact.balance_class not in CLASSES
        or (
            contact.balance_class == "open"
            and contact.not_after is not None
            and contact.not_after + CLOSING_GRACE < evidence.law_end
        )
    ]


def _balance(evidence: Evidence) -> list[str]:
    """Compare the ledger's balance with itself and with its own list of contacts."""
    balance = evidence.balance
    counted = Counter(contact.balance_class for contact in evidence.contacts)
    wrong = [
        f"{name}: balance says {balance.get(name, 0)}, {counted[name]} are listed"
        for name in CLASSES
        if balance.get(name, 0) != counted[name]
    ]
    total = sum(balance.get(name, 0) for name in CLASSES)
    if balance.get("planned", 0) != total:
        wrong.append(f"planned {balance.get('planned', 0)} is not the sum of its classes {total}")
    return wrong


# Duplicates.


def _accepted_twice(calls: Sequence[TruthLine]) -> list[str]:
    taken = Counter(call.contact_id for call in calls if call.contact_id is not None)
    return [contact_id for contact_id, times in taken.items() for _ in range(times - 1)]


def _step_twice(calls: Sequence[TruthLine], contacts: Sequence[LedgerContact]) -> list[str]:
    """Two different contacts, both accepted, for the same debt, episode, step and channel."""
    by_id = {contact.contact_id: contact for contact in contacts}
    slots: dict[tuple[str, Item, str], set[str]] = defaultdict(set)
    for call in calls:
        contact = by_id.get(call.contact_id or "")
        if contact is None:
            continue
        for item in contact.items:
            slots[call.recipient or "", item, contact.channel].add(contact.contact_id)
    return [
        f"step {item.step_key} of debt {item.debt_id}"
        for (_, item, _), ids in slots.items()
        for _ in range(len(ids) - 1)
    ]


# Unlawful.


def _by_recipient(people: Sequence[Person]) -> dict[str, Person]:
    return {recipient: person for person in people for recipient in person.recipients}


def _unknown(calls: Sequence[TruthLine], people: Sequence[Person]) -> list[str]:
    known = _by_recipient(people)
    return [_name(call) for call in calls if call.recipient not in known]


def _outside_hours(calls: Sequence[TruthLine], people: Sequence[Person]) -> list[str]:
    known = _by_recipient(people)
    found = []
    for call in calls:
        person = known.get(call.recipient or "")
        reason = law.forbidden(call.law_at, person.places) if person is not None else None
        if reason is not None:
            found.append(f"{_name(call)}: {reason}")
    return found


class Made(msgspec.Struct, frozen=True):
    """A contact that counts in caps: where, when, and about which debts (None: all of them)."""

    channel: str
    at: datetime
    debts: frozenset[str] | None


def _above_cap(
    calls: Sequence[TruthLine], people: Sequence[Person], contacts: Sequence[LedgerContact]
) -> list[str]:
    """Calls that made too many within some local dates; wrong only if wrong in every zone."""
    debts = {c.contact_id: frozenset(item.debt_id for item in c.items) for c in contacts}
    known = _by_recipient(people)
    earlier: dict[int, list[Made]] = {id(p): [Made(c, t, None) for c, t in p.past] for p in people}
    found = []
    for call in sorted(calls, key=lambda line: line.seq):
        person = known.get(call.recipient or "")
        if person is None:
            continue
        made = Made(call.channel, call.law_at, debts.get(call.contact_id or "", frozenset()))
        before = earlier[id(person)]
        found += [
            f"{_name(call)}: more than {cap.contacts} in {cap.dates} days"
            for cap in law.caps(person.places)
            if call.channel in cap.channels and _full(before, made, cap, person.places)
        ]
        before.append(made)
    return found


def _full(before: Sequence[Made], made: Made, cap: law.Cap, places: tuple[law.Place, ...]) -> bool:
    """Say whether a cap was full before this contact: for any of its debts, in every zone."""
    counted = [each for each in before if each.channel in cap.channels]
    debts = (made.debts or frozenset()) if cap.per_debt else (None,)
    return any(
        all(
            _within([e.at for e in counted if _about(e, debt)], made.at, place, cap.dates)
            >= cap.contacts
            for place in places
        )
        for debt in debts
    )


def _about(made: Made, debt: str | None) -> bool:
    return debt is None or made.debts is None or debt in made.debts


def _within(earlier: Iterable[datetime], now: datetime, place: law.Place, days: int) -> int:
    today = law.local_date(now, place)
    first = today - timedelta(days=days - 1)

    return sum(first <= law.local_date(at, place) <= today for at in earlier)


def _after_stop(
    calls: Sequence[TruthLine], stops: Sequence[Stop], contacts: Sequence[LedgerContact]
) -> list[str]:
    """Calls to an address, or about a debt, that had to be left alone by then."""
    by_name: dict[str, list[Stop]] = defaultdict(list)
    for stop in stops:
        for name in stop.debt_ids or (stop.recipient,):
            by_name[name].append(stop)
    debts = {c.contact_id: tuple(item.debt_id for item in c.items) for c in contacts}
    return [
        f"{_name(call)}: {stop.reason}"
        for call in calls
        for name in (call.recipient or "", *debts.get(call.contact_id or "", ()))
        for stop in by_name.get(name, ())
        if _stopped(call, stop)
    ]


def _stopped(call: TruthLine, stop: Stop) -> bool:
    """Say whether the call came after the stop, by either clock, beyond the grace."""
    if stop.lifted_machine_at is not None and call.machine_at >= stop.lifted_machine_at:
        return False
    return call.machine_at > stop.machine_at + STOP_GRACE or call.law_at > stop.law_at + STOP_GRACE


def _name(call: TruthLine) -> str:
    return f"contact {call.contact_id or '?'} at {call.law_at:%Y-%m-%d %H:%M}Z"


def _findings(**found: Sequence[str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(kind, len(names), tuple(names[:EXAMPLES_MAX]))
        for kind, names in found.items()
        if names
    )


def _total(findings: Iterable[Finding]) -> int:
    return sum(finding.count for finding in findings)
