"""How long the oldest unpublished row has waited, told by where the outbox ended when."""

from datetime import date

from shared.postgres.figures import MARKS_MAX, Waiting
from shared.postgres.pages import Position

DAY = date(2027, 3, 1)


def at(number: int) -> Position:
    return Position(1, 100 + number, number, DAY)


def test_an_empty_or_published_outbox_has_no_age() -> None:
    waiting = Waiting()
    assert waiting.age(None, Position(), 10.0) == 0.0
    assert waiting.age(at(5), at(5), 20.0) == 0.0


def test_the_age_is_that_of_the_oldest_row_not_passed() -> None:
    waiting = Waiting()
    assert waiting.age(at(1), Position(), 10.0) == 0.0
    assert waiting.age(at(2), Position(), 20.0) == 10.0
    assert waiting.age(at(3), at(1), 30.0) == 10.0  # the first is out, the second waits since 20
    assert waiting.age(at(3), at(3), 40.0) == 0.0


def test_a_relay_that_keeps_up_slowly_is_not_taken_for_a_stuck_one() -> None:
    waiting = Waiting()
    ages = [waiting.age(at(look), at(look - 1), look * 10.0) for look in range(1, 20)]
    assert max(ages) <= 10.0


def test_what_is_kept_in_mind_is_bounded_and_the_age_goes_on() -> None:
    waiting = Waiting()
    looks = MARKS_MAX + 50
    ages = [waiting.age(at(look), Position(), look * 10.0) for look in range(1, looks + 1)]
    assert ages[-1] == (looks - 1) * 10.0
