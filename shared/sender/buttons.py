"""What a pressed button means: the kinds of `Button`, read as the words they stand for.

In: a button's kind. Out: a `Reading`, the same on every channel that has buttons.
"""

from collections.abc import Mapping

from shared.sender.channel import Reading

# A promise without a day is asked back by a person; who wants to pay, or to talk, is answered.
READINGS: Mapping[str, Reading] = {
    "promise": Reading(intent="promise", confident=False, right_party=True),
    "pay": Reading(intent="help", confident=True, right_party=True),
    "human": Reading(intent="help", confident=True),
    "opt_out": Reading(intent="opt_out", confident=True),
}
OPT_OUT = "opt_out"


def reading_of(button: str | None) -> Reading | None:
    """Return what a press means; None without one, or for a kind that is not ours."""
    return READINGS.get(button) if button is not None else None
