"""Service window and messaging tier, at their borders."""

from datetime import UTC, datetime, timedelta

import pytest

from services.whatsapp_sender import rules
from services.whatsapp_sender.rules import Standing, judge
from shared.sender.errors import ErrorKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


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
    verdict = judge(standing, None, NOW, free_text=True, begun_today=0)
    assert (verdict is None) == open_
    if verdict is not None:
        assert verdict.refused is ErrorKind.POLICY_REFUSED
    assert judge(standing, None, NOW, free_text=False, begun_today=0) is None


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
    people = rules.people_per_day("TIER_250")
    verdict = judge(standing, people, NOW, free_text=False, begun_today=begun)
    assert (verdict is None) == goes
    if verdict is not None:
        assert (verdict.rule, verdict.refused) == ("messaging_tier", None)


@pytest.mark.parametrize(
    ("tier", "people"), [(None, None), ("TIER_10K", 10_000), ("TIER_UNLIMITED", None)]
)
def test_people_of_tiers(tier: str | None, people: int | None) -> None:
    assert rules.people_per_day(tier) == people
