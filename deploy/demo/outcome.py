"""Gather what a finished run left behind: evidence for the verifier, figures for the report.

In: the platform's and the sandbox's HTTP, the client's own books and intake's answers. Out: one
`Evidence` (what accepted, witnessed and recorded facts say) and one `Summary` (what people read).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from deploy.demo import witness
from deploy.demo.evidence import Accepted, Evidence, LedgerContact, TruthLine
from deploy.demo.platform import Json, Platform
from deploy.demo.report import Summary
from deploy.portfolio.debtors import BRAZIL, UNITED_STATES, Debtor

PAGE = 1_000
DUE = "ladder.step_due"  # stands with every reason; that a step was due is none to withhold it
AGES = ((1, "under a day"), (7, "1 to 7 days"), (10_000, "over 7 days"))  # as the gauge has them
TITLE = "Regua: {days} days, {debtors} debtors, two portfolios"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run began with and what it did: `results` are intake's answers, in order.

    `settled`: (machine, law time) by phone of the payment that left nothing to owe.
    """

    seed: str
    days: int
    debtors: Sequence[Debtor]
    debts: int
    results: Sequence[Json]
    settled: Mapping[str, tuple[datetime, datetime]]
    begin: datetime
    end: datetime


def evidence(platform: Platform, run: Run) -> Evidence:
    """Collect everything the verifier looks at."""
    truth = msgspec.convert(platform.truth(), list[TruthLine], strict=False)
    listed = list(platform.pages("/v1/contacts", "contacts", limit=PAGE))
    contacts = msgspec.convert(listed, list[LedgerContact], strict=False)
    events = platform.pages("/v1/events", "events", limit=PAGE)
    return Evidence(
        accepted=[
            Accepted(result["event_id"], result["status"])
            for result in run.results
            if result["status"] != "refused"
        ],
        truth=truth,
        ledger_events=frozenset(event["id"] for event in events),
        contacts=contacts,
        balance=platform.ledger("/v1/balance")["totals"],
        people=witness.people(run.debtors, run.seed),
        stops=[
            *witness.stops_of_replies(truth),
            *witness.stops_of_consent(run.debtors, run.seed, run.begin),
            *witness.stops_of_settlement(run.settled, run.debtors, run.seed),
            *witness.stops_of_disputes(truth, contacts),
        ],
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
        withheld={rule: n for rule, n in whole["withheld"].items() if rule != DUE},
        deferred=whole["deferred"],
        followed_up=_followed_up(platform),
        handed_off=_for_people(platform, run.end),
        debtor=debtor_id,
        timeline=history.get("entries", []),
        debts=run.debts,
        seconds=seconds,
    )


def _followed_up(platform: Platform) -> Counter[str]:
    """Count the steps that went on to another channel, as `sms, then email`."""
    steps: dict[tuple[str, int, str], list[tuple[str, str]]] = {}
    for contact in platform.pages("/v1/contacts", "contacts", limit=PAGE):
        if contact["balance_class"] != "sent":
            continue
        for item in contact["items"]:
            key = (item["debt_id"], item["episode"], item["step_key"])
            steps.setdefault(key, []).append((contact["planned_at"] or "", contact["channel"]))
    ways = (", then ".join(channel for _, channel in sorted(sent)) for sent in steps.values())
    return Counter(way for way in ways if "," in way)


def _for_people(platform: Platform, end: datetime) -> Counter[str]:
    """Count what waits for people, by kind and age, and hand-offs that were taken back, by rule."""
    found: Counter[str] = Counter()
    for item in platform.work_items("open"):
        age = (end - datetime.fromisoformat(item["opened_at"])).days
        found[f"{item['kind']}, open {next(words for days, words in AGES if age < days)}"] += 1
    for item in platform.work_items("closed"):
        why = f": {item['note']}" if item["note"] else ""
        found[f"{item['kind']}, {item['decision']}{why}"] += 1
    return found


def _busiest(platform: Platform) -> str:
    """The debtor with most contacts that were read or answered: a timeline worth showing."""
    counts: Counter[str] = Counter()
    for contact in platform.pages("/v1/contacts", "contacts", limit=PAGE):
        if contact["replied_at"] and contact["debtor_id"]:
            counts[contact["debtor_id"]] += 1
    return counts.most_common(1)[0][0] if counts else ""
