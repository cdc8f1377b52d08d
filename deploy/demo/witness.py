"""What the client and the provider know, as evidence: people, and from when to leave them alone.

In: the sample's debtors, the sandbox's truth log, the payments that the client posted. Out: the
verifier's `Person` and `Stop` records. Nothing here asks the platform.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from deploy.demo.evidence import Person, Stop, TruthLine
from deploy.demo.law import Place
from deploy.portfolio.debtors import Debtor
from deploy.sandbox.truth import recipient_digest

# Replies after which this number must stay silent for good, whatever else is owed.
SILENCING = frozenset({"opt_out_keyword", "opt_out_words", "wrong_person"})
HTTP_OK, HTTP_REDIRECT = 200, 300


def people(debtors: Iterable[Debtor], seed: str) -> list[Person]:
    """Return the debtors as the verifier needs them; `seed` is the sandbox's."""
    return [
        Person(
            recipient=recipient_digest(seed, debtor.phone),
            places=_places(debtor),
            past=tuple(at for _, at in debtor.past_contacts),
        )
        for debtor in debtors
    ]


def stops_of_replies(truth: Sequence[TruthLine]) -> Iterator[Stop]:
    """Yield a stop for each silencing reply that the platform took (answered 2xx)."""
    for line in truth:
        taken = line.answered is not None and HTTP_OK <= line.answered < HTTP_REDIRECT
        if line.kind == "inbound" and line.reply in SILENCING and taken:
            yield Stop(line.recipient or "", line.reply or "", line.machine_at, line.law_at)


def stops_of_consent(debtors: Iterable[Debtor], seed: str, since: datetime) -> Iterator[Stop]:
    """Yield a stop for each debtor whose consent was revoked before the debts came (`since`)."""
    for debtor in debtors:
        if debtor.consent == "revoked":
            recipient = recipient_digest(seed, debtor.phone)
            yield Stop(recipient, "consent revoked", since, since)


def stops_of_settlement(
    settled: Mapping[str, tuple[datetime, datetime]], seed: str
) -> Iterator[Stop]:
    """Yield a stop per phone that owes nothing, since (machine, law time) of acceptance."""
    for phone, (machine_at, law_at) in settled.items():
        yield Stop(recipient_digest(seed, phone), "paid in full", machine_at, law_at)


def _places(debtor: Debtor) -> tuple[Place, ...]:
    """Return the places told; for none, the zone of the number under the country's default law."""
    if not debtor.cities:
        return (Place(debtor.home.country, "", debtor.home.zone),)
    return tuple(Place(city.country, city.subdivision, city.zone) for city in debtor.cities)
