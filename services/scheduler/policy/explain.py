"""Explain: what would happen for one debtor now, why not, and when next."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import DebtorState
from shared.events.contact import Reason
from shared.events.hold import Hold


class DebtExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One debt: the verdict, and every rule with its own verdict."""

    debt_id: str
    portfolio_id: str
    verdict: str
    until: datetime | None
    stage: int
    episode: int
    next_step: str | None
    next_lawful: datetime | None
    rules: tuple[Reason, ...]


class ContactExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One contact, planned already or about to be: what dispatch would say now."""

    contact_id: str
    channel: str
    step_key: str
    debt_ids: tuple[str, ...]
    state: str
    due_at: datetime | None
    gate: str
    until: datetime | None
    reasons: tuple[Reason, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `explain`: per debt, per contact, and the next instant of change."""

    debtor_id: str
    at: datetime
    debts: tuple[DebtExplanation, ...]
    contacts: tuple[ContactExplanation, ...]
    wake_at: datetime | None
    next_lawful: datetime | None


def explain(
    state: DebtorState,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    address_subject: Callable[[str, str], str],
) -> Explanation:
    """Run `decide` and `gate` on a copy of the state and tell everything they looked at."""
    raise NotImplementedError(state, rulebook, holds, now, address_subject)
