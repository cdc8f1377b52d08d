"""Service window, pair rate and messaging tier, at their borders."""

from datetime import UTC, datetime, timedelta

import pytest

from services.whatsapp_sender import rules
from services.whatsapp_sender.rules import Limits, Standing, judge
from shared.sender.errors import ErrorKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FREE = Limits(pair_seconds=6.0, people_per_day=None)


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


@pytest.mark.parametrize(
    ("heard_at", "open_"),
    [
        (None, False),
        (NOW, True),
        (ago(hours=23), True),
        (ago(hours=23, minutes=58, seconds=59), True),
        (ago(hours=23, minutes=59), False),  # the call might arrive after the 24 hours
        (ago(hours=24), False),
    ],
)
def test_free_text_needs_an_open_window(heard_at: datetime | None, *, open_: bool) -> None:
    standing = Standing(heard_at=heard_at)
    verdict = judge(standing, FREE, NOW, free_text=True, begun_today=0)
    assert (verdict is None) == open_
    if verdict is not None:
        assert verdict.refused is ErrorKind.POLICY_REFUSED
    assert judge(standing, FREE, NOW, free_text=False, begun_today=0) is None


@pytest.mark.parametrize(
    ("seconds", "left"), [(0.0, 6.0), (2.5, 3.5), (5.9, 0.1), (6.0, None), (3_600.0, None)]
)
def test_one_person_is_written_to_so_often(seconds: float, left: float | None) -> None:
    standing = Standing(written_at=ago(seconds=seconds))
    verdict = judge(standing, FREE, NOW, free_text=False, begun_today=0)
    if left is None:
        assert verdict is None
        return
    assert verdict is not None
    assert (verdict.rule, verdict.refused) == ("pair_rate", None)
    assert verdict.wait_seconds == pytest.approx(left)


def test_a_clock_that_went_back_holds_nobody_up_for_long() -> None:
    standing = Standing(written_at=NOW + timedelta(days=2))
    assert judge(standing, FREE, NOW, free_text=False, begun_today=0) is None


@pytest.mark.parametrize(
    ("standing", "begun", "goes"),
    [
        (Standing(), 249, True),
        (Standing(), 250, False),  # the 251st person
        (Standing(begun_at=ago(hours=23)), 250, True),  # counted already
        (Standing(begun_at=ago(hours=24)), 250, False),  # no longer
        (Standing(heard_at=ago(hours=1)), 250, True),  # an answer begins nothing
    ],
)
def test_a_tier_bounds_the_people_begun_with(standing: Standing, begun: int, *, goes: bool) -> None:
    limits = rules.limits_of(None, "TIER_250")
    verdict = judge(standing, limits, NOW, free_text=False, begun_today=begun)
    assert (verdict is None) == goes
    if verdict is not None:
        assert (verdict.rule, verdict.refused) == ("messaging_tier", None)


def test_limits_of_settings() -> None:
    assert rules.limits_of(None, None) == Limits(pair_seconds=6.0, people_per_day=None)
    assert rules.limits_of(20.0, "TIER_10K") == Limits(pair_seconds=3.0, people_per_day=10_000)
    assert rules.limits_of(None, "TIER_UNLIMITED").people_per_day is None
