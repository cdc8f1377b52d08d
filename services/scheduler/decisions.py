"""What people may decide about each kind of work item, and what follows from it.

In: nothing. Out: data: the API refuses other words and documents these, and the README lists them.
Decisions about a step are folded by the planner (`policy.fold_work`); `done` says that a person
did what the item asked for, by events or holds of its own, which are what the platform acts on.
"""

from collections.abc import Mapping

from services.scheduler.policy.drafts import DONE, HAND_OFF
from services.scheduler.policy.fold_work import ABOUT_A_STEP, APPROVE, WAIVE

DISCARD = "discard"

_STEP = {
    WAIVE: "the step need not be taken; the ladder goes on behind it",
    APPROVE: "the step is tried again, as a new contact",
}
_PARKED = {DISCARD: "forget the events that wait for this debt, and lift its hold"}
_REPLY = {DONE: "the reply was dealt with; post what it means as an event"}
_HAND_OFF = {
    DONE: "a person did it; the ladder goes on behind it (`contact.recorded` says the same)",
    WAIVE: "the step need not be taken; the ladder goes on behind it",
    APPROVE: "the step is taken anew: asked for under another id, with new dates",
}
_SEEN = {DONE: "somebody has looked; nothing else follows"}

DECISIONS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(sorted(ABOUT_A_STEP), _STEP),
    HAND_OFF: _HAND_OFF,
    "parked_event": _PARKED,
    "identity_collision": _PARKED,
    "unsure_reply": _REPLY,
    "dispute_reply": _REPLY,
    "claims_paid": _REPLY,
    "payment_currency_mismatch": _SEEN,
    "late_evidence": _SEEN,
    "double_contact": _SEEN,
}


def allowed(kind: str) -> Mapping[str, str]:
    """Return the decisions on a kind, with what each does; a kind of a newer release: `done`."""
    return DECISIONS.get(kind, _SEEN)


def described() -> str:
    """Return every kind with its decisions, for the API's document."""
    lines = [
        f"- `{kind}`: " + "; ".join(f"`{word}` ({does})" for word, does in words.items())
        for kind, words in DECISIONS.items()
    ]
    return "Close an item with a decision of its kind:\n\n" + "\n".join(lines)
