"""Consolidation: a person with twelve invoices gets one message, not twelve.

In: the steps that are due for one debtor, one per debt, with the way their message would go. Out:
groups that share portfolio, channel, account and template, each led by its gravest debt. The lead
gives the contact its identity, step and stage; every item keeps its own.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.rulebook import Step
from services.scheduler.policy.state import ContactRecord, DebtState
from services.scheduler.policy.ways import Choice, Way
from shared.events.contact import Item, Reason

ITEMS_MAX = 100  # a message names a count and a total; more items than this go into a second one


class Candidate(NamedTuple):
    """One debt whose step is due: `choice` says how its message would go, or why it cannot."""

    debt: DebtState
    step: Step
    choice: Choice
    jurisdiction: Jurisdiction
    day: date
    reason: Reason

    @property
    def way(self) -> Way | None:
        """How the message goes; None when it cannot."""
        return self.choice.way

    @property
    def why(self) -> str | None:
        """Why the message cannot go; None when it can."""
        return None if self.choice.way is not None else self.choice.why

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
        joined = _joined(candidate, together)
        together.setdefault(_kind(joined), []).append(joined)
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


def _joined(candidate: Candidate, together: Mapping[tuple[str, ...], list[Candidate]]) -> Candidate:
    """Let a debt go with a graver one's message, if its own step would say it there, too.

    Both debts have the same person behind them, so a way that is open to one is open to the other.
    """
    record = candidate.debt.steps.get(candidate.step.key)
    if candidate.way is None or _kind(candidate) in together or (record and record.sent_on):
        return candidate
    for members in together.values():
        lead = members[0]
        way = lead.way
        if (
            way is not None
            and lead.debt.portfolio_id == candidate.debt.portfolio_id
            and candidate.step.templates.get(way.channel) == way.template_id
            and candidate.step.content_class == lead.step.content_class
            and way.channel != "email"  # whether e-mail may say it depends on the debt's own age
        ):
            return candidate._replace(choice=lead.choice)
    return candidate


def _kind(candidate: Candidate) -> tuple[str, ...]:
    portfolio_id = candidate.debt.portfolio_id
    if candidate.way is None:
        channel = candidate.choice.channel or candidate.step.channels[0]
        template_id = candidate.step.templates.get(channel, "")
        return (portfolio_id, channel, template_id, candidate.why or "")
    way = candidate.way
    return (portfolio_id, way.channel, way.template_id, way.account_id, way.point.address)


def _weight(candidate: Candidate) -> tuple[bool, int, date, str]:
    """Mandatory first, then highest stage, oldest due date, id: whatever the order of arrival."""
    due = candidate.debt.due_date or date.max
    mandatory_last = not candidate.step.mandatory
    return (mandatory_last, -candidate.step.stage, due, candidate.debt.debt_id.hex)
