"""Gather what a finished run left behind: evidence for the verifier, figures for the report.

In: the platform's and the sandbox's HTTP, the client's own books and intake's answers. Out: one
`Evidence` (what accepted, witnessed and recorded facts say) and one `Summary` (what people read).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from deploy.demo import law
from deploy.demo.evidence import Accepted, Evidence, LedgerContact, Person, Stop, TruthLine
from deploy.demo.platform import Json, Platform
from deploy.demo.report import Summary
from deploy.portfolio.debtors import BRAZIL, UNITED_STATES, Debtor
from deploy.portfolio.names import City
from deploy.sandbox.truth import recipient_digest

PAGE = 1_000
TITLE = "Regua: {days} days, {debtors} debtors, two portfolios"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run began with and what it did: `results` are intake's answers, in order.

    `settled`: (phone, machine time, law time) of payments that left nothing to owe.
    """

    seed: str
    days: int
    debtors: Sequence[Debtor]
    debts: int
    results: Sequence[Json]
    settled: Sequence[tuple[str, datetime, datetime]]
    begin: datetime
    end: datetime


def evidence(platform: Platform, run: Run) -> Evidence:
    """Collect everything the verifier looks at."""
    truth = msgspec.convert(platform.truth(), list[TruthLine], strict=False)
    contacts = list(platform.pages("/v1/contacts", "contacts", limit=PAGE))
    events = platform.pages("/v1/events", "events", limit=PAGE)
    return Evidence(
        accepted=[
            Accepted(result["event_id"], result["status"])
            for result in run.results
            if result["status"] != "refused"
        ],
        truth=truth,
        ledger_events=frozenset(event["id"] for event in events),
        contacts=msgspec.convert(contacts, list[LedgerContact], strict=False),
        balance=platform.ledger("/v1/balance")["totals"],
        people=[_person(debtor, run.seed) for debtor in run.debtors],
        stops=[*_opt_outs(platform), *_settlements(run)],
        law_end=run.end,
    )


def summary(platform: Platform, run: Run, *, seconds: float) -> Summary:
    """Collect the figures of the report."""
    period: dict[str, str] = {"from": run.begin.isoformat(), "to": run.end.isoformat()}
    whole = platform.ledger("/v1/kpis", **period)
    portfolios = {
        market.portfolio_id: platform.ledger("/v1/kpis", portfolio=market.portfolio_id, **period)[
            "kpis"
        ]
        for market in (BRAZIL, UNITED_STATES)
    }
    debtor_id = _busiest(platform)
    history = platform.ledger(f"/v1/debtors/{debtor_id}/history", limit=PAGE) if debtor_id else {}
    return Summary(
        title=TITLE.format(days=run.days, debtors=len(run.debtors)),
        contacts=whole["channels"],
        kpis=portfolios,
        promises=whole["promises"],
        payments=whole["payments"],
        withheld=whole["withheld"],
        deferred=whole["deferred"],
        debtor=debtor_id,
        timeline=history.get("entries", []),
        debts=run.debts,
        seconds=seconds,
    )


def _person(debtor: Debtor, seed: str) -> Person:
    """The client's knowledge: the places it told, and where the number belongs."""
    cities = dict.fromkeys((*debtor.cities, debtor.home))
    return Person(
        recipient=recipient_digest(seed, debtor.phone),
        places=tuple(_place(city) for city in cities),
        past=tuple(at for _, at in debtor.past_contacts),
    )


def _place(city: City) -> law.Place:
    return law.Place(
        country=city.country,
        subdivision=city.subdivision.rpartition("-")[2],
        zone=city.zone,
    )


def _opt_outs(platform: Platform) -> Iterable[Stop]:
    """From the provider's witness: who wrote the words, and when our webhook had taken them."""
    for line in platform.truth():
        if line["kind"] == "inbound" and line.get("reply") == "opt_out" and line.get("answered"):
            yield Stop(
                recipient=line["recipient"],
                reason="opted out",
                machine_at=datetime.fromisoformat(line["machine_at"]),
                law_at=datetime.fromisoformat(line["law_at"]),
            )


def _settlements(run: Run) -> Iterable[Stop]:
    for phone, machine_at, law_at in run.settled:
        yield Stop(
            recipient=recipient_digest(run.seed, phone),
            reason="paid everything",
            machine_at=machine_at,
            law_at=law_at,
        )


def _busiest(platform: Platform) -> str:
    """The debtor with most contacts that were read or answered: a timeline worth showing."""
    counts: Counter[str] = Counter()
    for contact in platform.pages("/v1/contacts", "contacts", limit=PAGE):
        if contact["replied_at"] and contact["debtor_id"]:
            counts[contact["debtor_id"]] += 1
    return counts.most_common(1)[0][0] if counts else ""
