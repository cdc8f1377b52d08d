"""Consolidation: a person with twelve invoices gets one message, not twelve.

In: the steps that are due for one debtor, one per debt, with the way their message would go. Out:
groups that share portfolio, channel, account and template, each led by its gravest debt. The lead
gives the contact its identity, step and stage; every item keeps its own.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from services.scheduler.policy.channels import Way
from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.rulebook import Step
from services.scheduler.policy.state import ContactRecord, DebtState
from shared.events.contact import Item, Reason

ITEMS_MAX = 100  # a message names a count and a total; more items than this go into a second one


class Candidate(NamedTuple):
    """One debt whose step is due: `way` says how it would go, `why` why it cannot."""

    debt: DebtState
    step: Step
    way: Way | None
    why: str | None
    jurisdiction: Jurisdiction
    day: date
    reason: Reason

    def item(self) -> Item:
        """Return the item this debt adds to its contact."""
        return Item(
            debt_id=self.debt.debt_id,
            episode=self.debt.episode,
            step_key=self.step.key,
            stage=self.step.stage,
        )


class Group(NamedTuple):
    """Candidates of one contact; `lead` is among them, members stand in order of weight."""

    lead: Candidate
    members: tuple[Candidate, ...]

    def items(self) -> tuple[Item, ...]:
        """Return the items, the lead's first."""
        return tuple(member.item() for member in self.members)

    def identity(self) -> frozenset[tuple[UUID, int, str]]:
        """Return what makes two groups the same contact."""
        return frozenset((m.debt.debt_id, m.debt.episode, m.step.key) for m in self.members)


def group(candidates: Sequence[Candidate]) -> list[Group]:
    """Group the candidates; the gravest group first, so that it takes the last free cap."""
    if len(candidates) <= 1:
        return [Group(only, (only,)) for only in candidates]
    together: dict[tuple[str, ...], list[Candidate]] = {}
    for candidate in sorted(candidates, key=_weight):
        together.setdefault(_kind(candidate), []).append(candidate)
    groups = [
        Group(members[start], tuple(members[start : start + ITEMS_MAX]))
        for members in together.values()
        for start in range(0, len(members), ITEMS_MAX)
    ]
    return sorted(groups, key=lambda g: _weight(g.lead))


def same_contact(group_: Group, record: ContactRecord) -> bool:
    """Say whether a planned contact is what this group would plan now."""
    way = group_.lead.way
    if way is None or record.channel != way.channel or record.template_id != way.template_id:
        return False
    if record.account_id != way.account_id or record.manual:
        return False
    return group_.identity() == frozenset(
        (item.debt_id, item.episode, item.step_key) for item in record.items
    )


def _kind(candidate: Candidate) -> tuple[str, ...]:
    portfolio_id = candidate.debt.portfolio_id
    if candidate.way is None:
        channel = candidate.step.channels[0]
        return (portfolio_id, channel, candidate.step.templates[channel], candidate.why or "")
    way = candidate.way
    return (portfolio_id, way.channel, way.template_id, way.account_id, way.point.address)


def _weight(candidate: Candidate) -> tuple[bool, int, date, str]:
    """Mandatory first, then highest stage, oldest due date, id: whatever the order of arrival."""
    due = candidate.debt.due_date or date.max
    mandatory_last = not candidate.step.mandatory
    return (mandatory_last, -candidate.step.stage, due, candidate.debt.debt_id.hex)
