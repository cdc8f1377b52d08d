"""What the client and the provider know, as evidence: people, and from when to leave them alone.

In: the sample's debtors, the sandbox's truth log, the payments that the client posted. Out: the
verifier's `Person` and `Stop` records. Nothing here asks the platform.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from deploy.demo.evidence import LedgerContact, Person, Stop, TruthLine
from deploy.demo.law import Place
from deploy.portfolio.debtors import Debtor
from deploy.sandbox.truth import recipient_digest

# Replies after which this address must stay silent for good, whatever else is owed; a number is
# the same number for SMS and WhatsApp. Complaints and one-click unsubscribes are a mailbox's.
SILENCING = frozenset({"opt_out_keyword", "opt_out_words", "wrong_person", "complaint"})
DISPUTE = "dispute"
HTTP_OK, HTTP_REDIRECT = 200, 300


def recipients(debtor: Debtor, seed: str) -> tuple[str, ...]:
    """Return the digests under which a debtor's number and mailbox appear in the truth log."""
    addresses = (debtor.phone,) if debtor.email is None else (debtor.phone, debtor.email)
    return tuple(recipient_digest(seed, address) for address in addresses)


def people(debtors: Iterable[Debtor], seed: str) -> list[Person]:
    """Return the debtors as the verifier needs them; `seed` is the sandbox's."""
    return [
        Person(
            recipients=recipients(debtor, seed),
            places=_places(debtor),
            past=debtor.past_contacts,
        )
        for debtor in debtors
    ]


def stops_of_replies(truth: Sequence[TruthLine]) -> Iterator[Stop]:
    """Yield a stop for each silencing reply that the platform took (answered 2xx)."""
    for line in truth:
        if line.kind == "inbound" and line.reply in SILENCING and _taken(line):
            yield Stop(line.recipient or "", line.reply or "", line.machine_at, line.law_at)


def stops_of_disputes(
    truth: Sequence[TruthLine], contacts: Sequence[LedgerContact]
) -> Iterator[Stop]:
    """Yield a stop of the disputed debts for each dispute that the platform took.

    A reply by phone is about the newest message that this number had from that account.
    """
    debts = {c.contact_id: tuple(item.debt_id for item in c.items) for c in contacts}
    newest: dict[tuple[str | None, str | None], str] = {}
    for line in sorted(truth, key=lambda each: each.seq):
        place = (line.account, line.recipient)
        if line.kind == "accepted" and line.contact_id is not None:
            newest[place] = line.contact_id
        elif line.kind == "inbound" and line.reply == DISPUTE and _taken(line):
            about = debts.get(newest.get(place, line.contact_id or ""), ())
            if about:
                yield Stop("", "disputed", line.machine_at, line.law_at, None, about)


def stops_of_consent(debtors: Iterable[Debtor], seed: str, since: datetime) -> Iterator[Stop]:
    """Yield a stop for each debtor whose consent was revoked before the debts came (`since`)."""
    for debtor in debtors:
        if debtor.consent == "revoked":
            for recipient in recipients(debtor, seed):
                yield Stop(recipient, "consent revoked", since, since)


def stops_of_settlement(
    settled: Mapping[str, tuple[datetime, datetime]], debtors: Iterable[Debtor], seed: str
) -> Iterator[Stop]:
    """Yield stops for who owes nothing, since (machine, law time) of acceptance, by phone."""
    for debtor in debtors:
        if debtor.phone in settled:
            machine_at, law_at = settled[debtor.phone]
            for recipient in recipients(debtor, seed):
                yield Stop(recipient, "paid in full", machine_at, law_at)


def _taken(line: TruthLine) -> bool:
    return line.answered is not None and HTTP_OK <= line.answered < HTTP_REDIRECT


def _places(debtor: Debtor) -> tuple[Place, ...]:
    """Return the places told; for none, the zone of the number under the country's default law."""
    if not debtor.cities:
        return (Place(debtor.home.country, "", debtor.home.zone),)
    return tuple(Place(city.country, city.subdivision, city.zone) for city in debtor.cities)
