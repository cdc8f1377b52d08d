"""The report shows every part and ends with the line that machines read."""

from datetime import UTC, datetime

import msgspec

from deploy.demo.report import Summary, render
from deploy.demo.verify import Finding, Verdict

CLEAN = Verdict(lost=(), duplicates=(), unlawful=())


def summary(**changes: object) -> Summary:
    usual = Summary(
        title="Thirty days of régua",
        contacts={"sms": {"delivered": 2_000, "undelivered": 41, "withheld": 300}},
        kpis={
            "varejo-br": {"penetration": 0.45, "intensity": 4.0, "rpc": 0.25, "ptp": 0.4,
                          "kp_of_promises": 0.5, "kp_of_due": None},
        },
        promises={"made": 12, "kept": 6, "broken": 3},
        payments={"BRL": {"count": 2, "amount": 112_050}},
        withheld={f"reason {n}": n for n in range(1, 16)},
        deferred={},
        handed_off={"handoff, open 1 to 7 days": 4, "handoff, withdrawn: debt.settled": 2},
        debtor="BR-1",
        timeline=[
            {"at": datetime(2026, 3, 2, 11, tzinfo=UTC), "what": "contact planned", "detail": "d3"},
            {"at": "2026-03-02T12:00:00+00:00", "what": "contact delivered", "detail": None},
        ],
        debts=1_600,
        seconds=99.6,
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changes)


def test_every_part_is_there() -> None:
    text = render(summary(), CLEAN)
    for part in (
        "delivered", "2,341", "12 made, 6 kept, 3 broken", "1,120.50 BRL", "45.0%", "4.00",
        "no data", "15  reason 15", "3 other reasons", "Mon 02 Mar 11:00  contact planned",
        "4  handoff, open 1 to 7 days", "2  handoff, withdrawn: debt.settled",
    ):  # fmt: skip
        assert part in text, part


def test_the_last_line_says_ok_only_when_all_is_zero() -> None:
    last = render(summary(), CLEAN).splitlines()[-1]
    assert last == "demo: ok debts=1600 contacts=2341 lost=0 duplicates=0 unlawful=0 seconds=100"
    broken = Verdict(lost=(), duplicates=(Finding("step_sent_twice", 2, ("c1",)),), unlawful=())
    text = render(summary(), broken)
    assert "FAILED" in text.splitlines()[-1]
    assert "duplicates=2" in text.splitlines()[-1]
    assert "e.g. c1" in text


def test_a_run_in_which_nothing_happened_still_renders() -> None:
    text = render(summary(contacts={}, kpis={}, promises={}, payments={}, withheld={}, timeline=[]),
                  CLEAN)  # fmt: skip
    assert text.splitlines()[-1].startswith("demo: ok debts=1600 contacts=0")
