"""Readings order themselves by machine time; law time stands still in sandbox mode."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.clock import Clock, ClockUnset

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def test_time_is_unknown_before_the_first_reading() -> None:
    clock = Clock()
    with pytest.raises(ClockUnset):
        clock.law_now()
    with pytest.raises(ClockUnset):
        clock.machine_now()


def test_naive_readings_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Clock().observe(NOON.replace(tzinfo=None), NOON)


def test_both_clocks_run_on_in_production() -> None:
    clock = Clock()
    clock.observe(NOON, NOON)
    first, second = clock.law_now(), clock.law_now()
    assert NOON <= first <= second < NOON + SECOND
    assert NOON <= clock.machine_now() < NOON + SECOND


def test_law_time_stands_still_in_sandbox_mode() -> None:
    clock = Clock(sandbox=True)
    clock.observe(NOON - 24 * HOUR, NOON)
    assert clock.law_now() == clock.law_now() == NOON - 24 * HOUR
    assert clock.machine_now() >= NOON


def test_a_late_answer_does_not_turn_law_time_back() -> None:
    clock = Clock(sandbox=True)
    clock.observe(NOON + HOUR, NOON + SECOND)
    clock.observe(NOON, NOON)
    assert clock.law_now() == NOON + HOUR


def test_a_step_is_seen_even_from_an_answer_that_took_long() -> None:
    clock = Clock(sandbox=True)
    clock.observe(NOON, NOON)
    ahead = clock.machine_now()
    clock.observe(NOON + HOUR, NOON + timedelta(microseconds=1))
    assert clock.law_now() == NOON + HOUR
    assert clock.machine_now() >= ahead


def test_machine_time_moves_forward_with_a_newer_reading() -> None:
    clock = Clock()
    clock.observe(NOON, NOON)
    clock.observe(NOON + HOUR, NOON + HOUR)
    assert clock.machine_now() >= NOON + HOUR
    assert clock.law_now() >= NOON + HOUR
