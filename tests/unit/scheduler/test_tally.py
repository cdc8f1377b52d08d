"""What planning counts: the rule that decided, in a bounded number of names, once per commit."""

from services.scheduler.tally import Tally, rule_of
from shared.events.contact import Reason
from shared.telemetry import labels, metrics


def reason(rule: str, verdict: str) -> Reason:
    return Reason(rule=rule, verdict=verdict)


def test_the_rule_that_stopped_it_is_named() -> None:
    went_on = [reason("ladder.step_due", "due"), reason("channel", "allowed")]
    assert rule_of([*went_on, reason("calendar.window", "closed")]) == "calendar.window"
    assert (
        rule_of([reason("consent", "withheld"), reason("calendar.window", "closed")]) == "consent"
    )
    assert rule_of(went_on) == "channel"
    assert rule_of([]) == "unnamed"


def test_caps_are_one_name_whatever_a_pack_calls_them() -> None:
    assert rule_of([reason("caps.my-own-cap", "full")]) == "caps"


def test_names_are_bounded() -> None:
    named = {labels.bounded("probe", f"rule-{number}") for number in range(2 * labels.VALUES_MAX)}
    assert len(named) == labels.VALUES_MAX + 1
    assert labels.OTHER in named
    assert labels.bounded("probe", "rule-0") == "rule-0"


def test_nothing_is_counted_before_the_commit() -> None:
    def planned() -> float:
        found = metrics.REGISTRY.get_sample_value(
            "regua_contacts_planned_total", {"channel": "probe"}
        )
        return found or 0.0

    tally = Tally()
    tally.planned(["probe", "probe"])
    assert planned() == 0.0
    tally.publish()
    assert planned() == 2.0
