"""The verifier finds every planted violation, and nothing in a clean run."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.demo.evidence import (
    Accepted,
    Evidence,
    Item,
    LedgerContact,
    Person,
    Stop,
    TruthLine,
    read_truth,
)
from deploy.demo.law import Place
from deploy.demo.verify import EXAMPLES_MAX, Verdict, verify

SAO_PAULO = Place("BR", "SP", "America/Sao_Paulo")
MONDAY_NOON = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 12:00 in São Paulo
DAY = timedelta(days=1)


def call(
    seq: int = 1,
    contact: str | None = "c1",
    at: datetime = MONDAY_NOON,
    recipient: str = "r1",
    provider: str = "twilio",
) -> TruthLine:
    return TruthLine(
        seq=seq,
        kind="accepted",
        machine_at=at,
        law_at=at,
        contact_id=contact,
        recipient=recipient,
        provider=provider,
    )


def contact(
    contact_id: str = "c1",
    *,
    balance_class: str = "sent",
    accepted: int = 1,
    step: str = "d3",
    debt: str = "debt1",
    not_after: datetime | None = MONDAY_NOON + timedelta(hours=8),
) -> LedgerContact:
    return LedgerContact(
        contact_id=contact_id,
        channel="sms",
        balance_class=balance_class,
        accepted=accepted,
        items=(Item(debt, 1, step),),
        not_after=not_after,
    )


def evidence(**changes: object) -> Evidence:
    """A clean run: one event, one contact sent once, at noon; `changes` plant what they say."""
    clean = Evidence(
        accepted=[Accepted("e1", "accepted")],
        truth=[call()],
        ledger_events=frozenset({"e1"}),
        contacts=[contact()],
        balance={"planned": 1, "sent": 1},
        people=[Person(("r1",), (SAO_PAULO,))],
        stops=[],
        law_end=MONDAY_NOON + 30 * DAY,
    )
    return msgspec.structs.replace(clean, **changes)


def kinds(verdict: Verdict) -> set[str]:
    return {f.kind for f in (*verdict.lost, *verdict.duplicates, *verdict.unlawful)}


def two_contacts(second: LedgerContact, *calls: TruthLine) -> Evidence:
    return evidence(
        truth=[call(), *calls],
        contacts=[contact(), second],
        balance={"planned": 2, "sent": 1, second.balance_class: 1}
        if second.balance_class != "sent"
        else {"planned": 2, "sent": 2},
    )


def test_a_clean_run_is_clean() -> None:
    verdict = verify(evidence())
    assert verdict.ok
    assert verdict.counts == (0, 0, 0)


class TestLost:
    def test_event_that_the_ledger_never_saw(self) -> None:
        verdict = verify(
            evidence(accepted=[Accepted("e1", "accepted"), Accepted("e2", "duplicate")])
        )
        assert kinds(verdict) == {"events_missing"}
        assert verdict.lost[0].examples == ("e2",)

    def test_refused_event_is_not_missed(self) -> None:
        assert verify(evidence(accepted=[Accepted("e1", "parked"), Accepted("e2", "refused")])).ok

    @pytest.mark.parametrize("balance_class", ["withheld", "failed", "unknown", "open"])
    def test_accepted_message_that_the_ledger_does_not_count_as_sent(
        self, balance_class: str
    ) -> None:
        verdict = verify(
            evidence(
                contacts=[contact(balance_class=balance_class, accepted=0, not_after=None)],
                balance={"planned": 1, balance_class: 1},
            )
        )
        assert kinds(verdict) == {"acceptance_unrecorded"}

    def test_accepted_message_of_a_contact_nobody_knows(self) -> None:
        verdict = verify(evidence(truth=[call(), call(2, None, MONDAY_NOON + DAY)]))
        assert kinds(verdict) == {"acceptance_unrecorded"}

    def test_sent_contact_that_the_provider_never_accepted(self) -> None:
        verdict = verify(two_contacts(contact("c2", step="d5")))
        assert kinds(verdict) == {"sent_but_never_accepted"}

    def test_contact_left_open_after_its_window(self) -> None:
        verdict = verify(two_contacts(contact("c2", balance_class="open", accepted=0, step="d5")))
        assert kinds(verdict) == {"contact_left_open"}

    def test_contact_still_inside_its_window_may_be_open(self) -> None:
        later = contact(
            "c2", balance_class="open", accepted=0, step="d5", not_after=MONDAY_NOON + 40 * DAY
        )
        assert verify(two_contacts(later)).ok

    def test_contact_of_no_class(self) -> None:
        verdict = verify(
            evidence(
                truth=[],
                contacts=[contact(balance_class="limbo", accepted=0)],
                balance={"planned": 0},
            )
        )
        assert kinds(verdict) == {"contact_left_open"}

    @pytest.mark.parametrize(
        "balance",
        [{"planned": 2, "sent": 1}, {"planned": 1, "sent": 1, "withheld": 1}, {"planned": 1}],
    )
    def test_balance_that_does_not_close(self, balance: dict[str, int]) -> None:
        assert kinds(verify(evidence(balance=balance))) == {"balance_mismatch"}


class TestDuplicates:
    def test_contact_accepted_twice(self) -> None:
        verdict = verify(evidence(truth=[call(), call(2, at=MONDAY_NOON + DAY)]))
        assert kinds(verdict) == {"contact_accepted_twice"}
        assert verdict.counts == (0, 1, 0)

    def test_step_sent_twice_under_two_contact_ids(self) -> None:
        verdict = verify(
            two_contacts(contact("c2"), call(2, "c2", MONDAY_NOON + DAY)),
        )
        assert kinds(verdict) == {"step_sent_twice"}

    def test_two_steps_of_one_debt_are_no_duplicate(self) -> None:
        assert verify(two_contacts(contact("c2", step="d5"), call(2, "c2", MONDAY_NOON + DAY))).ok

    def test_ledger_holds_two_acceptances(self) -> None:
        assert kinds(verify(evidence(contacts=[contact(accepted=2)]))) == {"ledger_accepted_twice"}


class TestUnlawful:
    @pytest.mark.parametrize(
        ("utc", "why"),
        [
            ("2026-03-02T10:59:59", "07:59 in SP"),
            ("2026-03-02T23:00:00", "20:00 in SP"),
            ("2026-03-07T17:00:00", "14:00 in SP"),
            ("2026-03-08T15:00:00", "Sunday in SP"),
            ("2026-04-03T15:00:00", "holiday in SP"),
        ],
    )
    def test_call_outside_the_hours(self, utc: str, why: str) -> None:
        at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
        verdict = verify(
            evidence(truth=[call(at=at)], contacts=[contact(not_after=at)], law_end=at)
        )
        assert kinds(verdict) == {"outside_hours"}
        assert why in verdict.unlawful[0].examples[0]

    def test_every_place_must_allow_it(self) -> None:
        places = (SAO_PAULO, Place("BR", "AM", "America/Manaus"))
        at = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)  # 08:30 in São Paulo, 07:30 in Manaus
        verdict = verify(evidence(truth=[call(at=at)], people=[Person(("r1",), places)]))
        assert kinds(verdict) == {"outside_hours"}

    def test_no_place_no_contact(self) -> None:
        assert kinds(verify(evidence(people=[Person(("r1",), ())]))) == {"outside_hours"}

    def test_somebody_who_is_no_debtor(self) -> None:
        assert kinds(verify(evidence(people=[]))) == {"unknown_recipient"}

    def test_two_on_one_day(self) -> None:
        verdict = verify(
            two_contacts(contact("c2", step="d5"), call(2, "c2", MONDAY_NOON + DAY / 12))
        )
        assert kinds(verdict) == {"above_cap"}

    def test_days_are_the_debtors_own(self) -> None:
        people = [Person(("r1",), (Place("BR", "AC", "America/Rio_Branco"),))]
        evening = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)  # 19:30 on Monday in Rio Branco
        verdict = verify(
            msgspec.structs.replace(
                two_contacts(contact("c2", step="d5"), call(2, "c2", evening)),
                people=people,
                truth=[call(at=datetime(2026, 3, 2, 17, tzinfo=UTC)), call(2, "c2", evening)],
            )
        )
        assert kinds(verdict) == {"above_cap"}

    def test_fourth_in_seven_days(self) -> None:
        days = [0, 1, 2, 3]
        found = evidence(
            truth=[call(n + 1, f"c{n}", MONDAY_NOON + n * DAY) for n in days],
            contacts=[contact(f"c{n}", step=f"s{n}") for n in days],
            balance={"planned": 4, "sent": 4},
        )
        verdict = verify(found)
        assert kinds(verdict) == {"above_cap"}
        assert verdict.counts == (0, 0, 1)

    def test_eighth_day_counts_anew(self) -> None:
        days = [0, 1, 2, 7]
        assert verify(
            evidence(
                truth=[call(n + 1, f"c{n}", MONDAY_NOON + n * DAY) for n in days],
                contacts=[contact(f"c{n}", step=f"s{n}") for n in days],
                balance={"planned": 4, "sent": 4},
            )
        ).ok

    def test_earlier_contacts_elsewhere_count(self) -> None:
        past = tuple(("sms", MONDAY_NOON - n * DAY) for n in (1, 2, 3))
        verdict = verify(evidence(people=[Person(("r1",), (SAO_PAULO,), past)]))
        assert kinds(verdict) == {"above_cap"}

    def test_call_after_a_stop(self) -> None:
        stopped = MONDAY_NOON - timedelta(seconds=6)
        verdict = verify(evidence(stops=[Stop("r1", "opted out", stopped, stopped)]))
        assert kinds(verdict) == {"after_stop"}
        assert "opted out" in verdict.unlawful[0].examples[0]

    def test_call_at_the_same_machine_second_but_a_later_law_hour(self) -> None:
        stop = Stop("r1", "paid", MONDAY_NOON, MONDAY_NOON - timedelta(hours=2))
        assert kinds(verify(evidence(stops=[stop]))) == {"after_stop"}

    @pytest.mark.parametrize("seconds", [-5, 0, 60])
    def test_grace_and_calls_before_the_stop(self, seconds: int) -> None:
        stopped = MONDAY_NOON + timedelta(seconds=seconds)
        assert verify(evidence(stops=[Stop("r1", "paid", stopped, stopped)])).ok

    def test_stop_of_somebody_else(self) -> None:
        before = MONDAY_NOON - DAY
        assert verify(evidence(stops=[Stop("r2", "paid", before, before)])).ok

    def test_lifted_stop(self) -> None:
        before = MONDAY_NOON - DAY
        assert verify(evidence(stops=[Stop("r1", "dispute", before, before, MONDAY_NOON)])).ok


def test_examples_are_bounded_and_counts_are_not() -> None:
    verdict = verify(evidence(accepted=[Accepted(f"e{n}", "accepted") for n in range(50)]))
    assert verdict.counts[0] == 49
    assert len(verdict.lost[0].examples) == EXAMPLES_MAX


def test_reads_the_sandboxs_lines() -> None:
    ndjson = (
        b'{"seq":1,"kind":"accepted","provider":"twilio","machine_at":"2026-03-02T15:00:00Z",'
        b'"law_at":"2026-03-02T15:00:00Z","contact_id":"c1","recipient":"r1","status":"x"}\n'
    )
    assert verify(evidence(truth=read_truth(ndjson))).ok
