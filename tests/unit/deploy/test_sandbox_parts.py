"""The sandbox's pure parts: fate by seed, scripted faults, replies, truth log, schedule."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from deploy.sandbox import behaviour, phrases
from deploy.sandbox.behaviour import SILENT_DEBTORS, Profile, ProfileError
from deploy.sandbox.faults import Fault, FaultError, FaultScript, Match
from deploy.sandbox.receipts import receipts
from deploy.sandbox.schedule import Schedule
from deploy.sandbox.segments import segments
from deploy.sandbox.truth import Entry, TruthLog, TruthLostError, recipient_digest
from deploy.sandbox.twilio_forms import parse_form
from deploy.sandbox.twilio_signature import sign

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestBehaviour:
    def test_the_seed_is_fate(self) -> None:
        numbers = [f"+55119{n:08d}" for n in range(200)]
        lives = [[behaviour.plan(Profile(), seed, n, 1) for n in numbers] for seed in "aab"]
        assert lives[0] == lives[1]
        assert lives[0] != lives[2]

    def test_shares_are_as_the_profile_says(self) -> None:
        profile = Profile(unreachable_numbers=0.1, landlines=0, undelivered=0.2, silent=0.1,
                          reply=0.5, pay=0.25)  # fmt: skip
        plans = [behaviour.plan(profile, "s", f"+1{n}", 1) for n in range(20_000)]
        outcomes = Counter(plan.outcome for plan in plans)
        assert outcomes["undelivered"] / 20_000 == pytest.approx(0.1 + 0.9 * 0.2, abs=0.015)
        assert outcomes["silent"] / 20_000 == pytest.approx(0.9 * 0.1, abs=0.01)
        delivered = [plan for plan in plans if plan.outcome == "delivered"]
        assert sum(p.intent is not None for p in delivered) / len(delivered) == pytest.approx(
            0.5, abs=0.02
        )
        assert sum(p.pays for p in delivered) / len(delivered) == pytest.approx(0.25, abs=0.02)
        intents = Counter(plan.intent for plan in delivered if plan.intent)
        assert intents.keys() == behaviour.ANSWERS.keys()
        assert intents["promise"] / sum(intents.values()) == pytest.approx(0.38, abs=0.03)

    def test_a_dead_number_stays_dead(self) -> None:
        profile = Profile(unreachable_numbers=0.5, undelivered=0, silent=0)
        for number in range(50):
            fates = {behaviour.plan(profile, "s", f"+1{number}", n).outcome for n in range(1, 6)}
            assert len(fates) == 1

    def test_nobody_who_got_nothing_answers(self) -> None:
        profile = Profile(undelivered=1.0, reply=1.0, pay=1.0)
        plan = behaviour.plan(profile, "s", "+1", 1)
        assert (plan.intent, plan.pays) == (None, False)

    @pytest.mark.parametrize(
        "change",
        [
            {"reply": 1.2},
            {"sent_ms": (5.0, 1.0)},
            {"intents": {"shout": 1.0}},
            {"intents": {"promise": 0.0}},
            {"undelivered_codes": {"x": 1.0}},
        ],
    )
    def test_senseless_profiles_are_refused(self, change: dict[str, object]) -> None:
        with pytest.raises(ProfileError, match=next(iter(change))):
            behaviour.check(msgspec.structs.replace(Profile(), **change))


class TestReceipts:
    def plan(self, **change: object) -> behaviour.Plan:
        return msgspec.structs.replace(behaviour.plan(SILENT_DEBTORS, "s", "+1", 1), **change)

    def told(self, plan: behaviour.Plan, validity: int = 100, *faults: Fault) -> list[str]:
        return [s.status for s in receipts(plan, validity, ("sent", "delivered"), faults)]

    def test_usual(self) -> None:
        assert self.told(self.plan()) == ["sent", "delivered"]
        assert self.told(self.plan(outcome="undelivered", code=30003)) == ["sent", "undelivered"]
        assert self.told(self.plan(outcome="silent")) == ["sent"]

    def test_validity_ends_a_slow_delivery(self) -> None:
        steps = receipts(self.plan(final_law_seconds=101.0), 100, ("sent",), ())
        assert (steps[-1].status, steps[-1].code, steps[-1].wait_law_seconds) == (
            "undelivered", 30036, 100.0,
        )  # fmt: skip
        assert self.told(self.plan(final_law_seconds=99.0)) == ["sent", "delivered"]

    def test_reordered_and_late(self) -> None:
        assert self.told(self.plan(), 100, Fault("reorder_receipts")) == ["delivered", "sent"]
        late = Fault("late_receipt", law_seconds=60.0)
        assert receipts(self.plan(), 100, ("sent",), (late,))[-1].wait_law_seconds == 60.0


class TestFaults:
    def hits(self, fault: Fault, times: int = 12) -> list[int]:
        script = FaultScript("s")
        script.add([fault])
        return [n for n in range(1, times + 1) if script.meet("+1")]

    def test_first_every_and_times(self) -> None:
        assert self.hits(Fault("throttle_429", Match(first=2))) == [1, 2]
        assert self.hits(Fault("throttle_429", Match(every=5))) == [5, 10]
        assert self.hits(Fault("throttle_429", Match(every=5), times=1)) == [5]
        assert self.hits(Fault("throttle_429", times=3)) == [1, 2, 3]

    def test_probability_is_drawn_from_the_seed(self) -> None:
        fault = Fault("throttle_429", Match(probability=0.3))
        assert self.hits(fault, 1_000) == self.hits(fault, 1_000)
        assert len(self.hits(fault, 1_000)) == pytest.approx(300, abs=60)

    def test_one_recipient(self) -> None:
        script = FaultScript("s")
        script.add([Fault("refuse", Match(recipient="+1"))])
        assert script.meet("+2") == ()
        assert script.meet("+1")[0].kind == "refuse"

    def test_one_trouble_of_the_call_but_many_of_its_receipts(self) -> None:
        script = FaultScript("s")
        script.add([Fault(k) for k in ("refuse", "throttle_429", "late_receipt", "lose_receipts")])
        assert [f.kind for f in script.meet("+1")] == ["refuse", "late_receipt", "lose_receipts"]
        assert script.listing()[1]["applied"] == 0

    @pytest.mark.parametrize(
        "fault",
        [
            Fault("explode"),
            Fault("refuse", Match(every=0)),
            Fault("refuse", Match(probability=2)),
            Fault("timeout_before", seconds=-1),
            Fault("garbled_answer", shape="round"),
        ],
    )
    def test_senseless_faults_are_refused(self, fault: Fault) -> None:
        script = FaultScript("s")
        with pytest.raises(FaultError):
            script.add([fault])
        assert script.meet("+1") == ()


class TestPhrases:
    def test_promises_name_amount_and_day_of_the_message(self) -> None:
        told = {}
        for language, message in (
            ("pt", "sua parcela de R$ 1.120,00 vence"),
            ("en", "you owe $1,120.00"),
            ("es", "su pago de $1,120.00"),
        ):
            for luck in range(200):
                reply = phrases.compose(
                    "promise", language, message, today=date(2026, 3, 2), days=(1, 6), luck=luck
                )
                assert reply.due is not None
                assert date(2026, 3, 3) <= reply.due <= date(2026, 3, 8)
                amount = {1.0: "1120.00", 0.5: "560.00"}[reply.fraction or 0]
                digits = reply.text.replace(".", "").replace(",", "")
                assert amount.replace(".", "") in digits
                told[language, reply.text] = True
        assert len(told) > 60

    @pytest.mark.parametrize("intent", behaviour.INTENTS)
    @pytest.mark.parametrize("language", ["pt", "en", "es"])
    def test_every_intent_has_words(self, intent: str, language: str) -> None:
        texts = {
            phrases.compose(intent, language, "", today=date(2026, 3, 2), days=(1, 1), luck=n).text
            for n in range(40)
        }
        assert len(texts) >= 4
        assert all(texts)

    def test_language_by_number(self) -> None:
        assert phrases.language_of("+5511912345678", spanish=True) == "pt"
        assert phrases.language_of("+12125550100", spanish=False) == "en"
        assert phrases.language_of("+12125550100", spanish=True) == "es"


class TestTruth:
    def log(self, lines: int, **options: object) -> TruthLog:
        log = TruthLog(**options)  # type: ignore[arg-type]
        for _ in range(lines):
            log.settle(log.open(Entry(seq=0, kind="request", provider="p", machine_at=NOW)), NOW)
        return log

    def seqs(self, log: TruthLog, after: int, limit: int = 100) -> list[int]:
        return [msgspec.json.decode(line)["seq"] for line in log.after(after, limit)]

    def test_lines_keep_the_order_of_things_not_of_stamps(self) -> None:
        log = TruthLog()
        first, second = (
            log.open(Entry(seq=0, kind="request", provider="p", machine_at=NOW)) for _ in range(2)
        )
        log.settle(second, NOW)
        assert self.seqs(log, 0) == []
        log.settle(first, NOW)
        assert self.seqs(log, 0) == [1, 2]

    def test_reads_on_and_stops_at_the_limit(self) -> None:
        log = self.log(10)
        assert self.seqs(log, 3, 4) == [4, 5, 6, 7]
        assert self.seqs(log, 10) == []

    def test_bounded_memory_says_what_is_gone(self) -> None:
        log = self.log(10, entries_max=4)
        assert self.seqs(log, 6) == [7, 8, 9, 10]
        with pytest.raises(TruthLostError, match="before 7"):
            self.seqs(log, 5)

    def test_spilled_lines_are_read_from_the_file(self, tmp_path: Path) -> None:
        log = self.log(25_000, entries_max=10, spill=tmp_path / "truth")
        assert self.seqs(log, 0, 3) == [1, 2, 3]
        assert self.seqs(log, 12_345, 3) == [12_346, 12_347, 12_348]
        assert self.seqs(log, 24_985) == list(range(24_986, 25_001))
        log.settle(log.open(Entry(seq=0, kind="request", provider="p", machine_at=NOW)), NOW)
        assert self.seqs(log, 24_988) == list(range(24_989, 25_002))
        log.close()

    def test_digests_need_the_seed(self) -> None:
        assert recipient_digest("a", "+1") == recipient_digest("a", "+1")
        assert recipient_digest("a", "+1") != recipient_digest("b", "+1")


def test_schedule_runs_what_is_due_in_order() -> None:
    schedule = Schedule()
    done: list[int] = []
    for hours in (3, 1, 2):
        schedule.at(NOW + timedelta(hours=hours), partial(done.append, hours))
    schedule.run_due(NOW + timedelta(hours=2))
    assert done == [1, 2]
    assert schedule.next_due == NOW + timedelta(hours=3)
    assert schedule.overdue(NOW + timedelta(hours=3)) == 1


def test_published_signature_vector() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert sign("12345", url, fields) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_forms_decode_as_browsers_do() -> None:
    form = parse_form(b"Body=Ol%C3%A1+mundo%26&To=%2B55&Empty=&Odd")
    assert form == {"Body": "Olá mundo&", "To": "+55", "Empty": "", "Odd": ""}


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a" * 160, 1), ("a" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("ã" * 70, 1), ("ã" * 71, 2)],
)
def test_segments(text: str, parts: int) -> None:
    assert segments(text) == parts
