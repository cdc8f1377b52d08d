"""Ways: on which channel, account and address a step's message goes, if on any.

In: one debt's step, the channels it may take, the debtor's state, the packs that bind. Out: the
first channel that can be used with why the ones before it cannot, or why none can.
"""

from datetime import date
from typing import NamedTuple

from services.scheduler.policy.channels import OF_PORTFOLIO, account_allowed, content_allowed
from services.scheduler.policy.consent import Held, pick_point
from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.ladder import EMAIL_ALONE_DAYS_MAX, EMAIL_ALONE_STAGE_MAX
from services.scheduler.policy.rulebook import Rulebook, Step
from services.scheduler.policy.state import DebtorState, DebtState, Point
from shared.events.configuration import Portfolio
from shared.events.contact import Reason

# Reasons that configuration can mend in a moment: the step waits instead of being given up.
PASSING = frozenset({"account_missing", "template_missing"})
# Reasons of the debtor's own: nobody may take the step over by telephone instead.
NOBODY_ELSE = frozenset({"consent_revoked"})


class Way(NamedTuple):
    """The way a step's message goes: channel, account, template, address."""

    channel: str
    account_id: str
    template_id: str
    point: Point


class Look(NamedTuple):
    """What the choice of a channel looks at, for one debtor in one portfolio on one local date."""

    state: DebtorState
    portfolio: Portfolio
    rulebook: Rulebook
    jurisdiction: Jurisdiction
    day: date
    held: Held = lambda _: False


class Choice(NamedTuple):
    """The way that was found, if any, and why the channels before it were passed over."""

    way: Way | None
    passed_over: tuple[tuple[str, str], ...]

    @property
    def channel(self) -> str | None:
        """The channel that was found, else the one that `why` speaks of."""
        if self.way is not None:
            return self.way.channel
        return self._telling[0] if self.passed_over else None

    @property
    def why(self) -> str:
        """Why no channel can be used: what lies with the debtor says more than the portfolio."""
        return self._telling[1] if self.passed_over else "channel_unavailable"

    @property
    def _telling(self) -> tuple[str, str]:
        own = (passed for passed in self.passed_over if passed[1] not in OF_PORTFOLIO)
        return next(own, self.passed_over[0])

    def reason(self) -> Reason:
        """Which channel was chosen, and why no earlier one, for plans and `explain`."""
        inputs = {channel: why for channel, why in self.passed_over if self.way is not None}
        if self.way is None:
            return Reason(rule=self.why, verdict="withheld", inputs=dict(self.passed_over))
        chosen = {"channel": self.way.channel}
        return Reason(rule="channel", verdict="allowed", inputs=chosen | inputs)


def choose_way(look: Look, step: Step, debt: DebtState, channels: tuple[str, ...]) -> Choice:
    """Return the first of the step's channels that can be used for this debt."""
    passed_over: list[tuple[str, str]] = []
    for channel in channels:
        found = _try(look, step, debt, channel)
        if isinstance(found, Way):
            return Choice(found, tuple(passed_over))
        passed_over.append((channel, found))
    return Choice(None, tuple(passed_over))


def ways(look: Look, step: Step, debt: DebtState) -> list[Reason]:
    """Return the verdict on every channel of the step, for `explain`."""
    verdicts = []
    for channel in step.message_channels:
        found = _try(look, step, debt, channel)
        inputs = {"channel": channel, "step": step.key}
        if isinstance(found, str):
            inputs["because"] = found
        verdict = "refused" if isinstance(found, str) else "usable"
        verdicts.append(Reason(rule="channel", verdict=verdict, inputs=inputs))
    return verdicts


def check_way(look: Look, channel: str, template_id: str, content_class: str) -> Way | str:
    """Return how a contact on this channel with this template can go, or why it cannot."""
    portfolio, rulebook = look.portfolio, look.rulebook
    account_id = portfolio.accounts.get(channel)
    if account_id is None:
        return "channel_unavailable"
    account = rulebook.accounts.get(account_id)
    if account is None:
        return "account_missing"
    refusal = account_allowed(portfolio, account[1])
    refusal = refusal or content_allowed(channel, content_class, portfolio.country)
    if refusal is not None:
        return refusal
    if template_id not in rulebook.templates:
        return "template_missing"
    law = look.jurisdiction.on(channel, look.day)
    point = pick_point(
        look.state,
        channel,
        opt_in=law.opt_in,
        opt_out_scope=law.opt_out_scope,
        held=look.held,
    )
    return point if isinstance(point, str) else Way(channel, account_id, template_id, point)


def _try(look: Look, step: Step, debt: DebtState, channel: str) -> Way | str:
    if channel == "email" and _alone(step, debt, look.day):
        return "email_alone_for_old_debt"
    return check_way(look, channel, step.templates[channel], step.content_class)


def _alone(step: Step, debt: DebtState, day: date) -> bool:
    """Say whether e-mail would be the only channel for an old debt: it only follows another one."""
    past_due = (day - debt.due_date).days if debt.due_date is not None else 0
    if past_due <= EMAIL_ALONE_DAYS_MAX and step.stage <= EMAIL_ALONE_STAGE_MAX:
        return False
    record = debt.steps.get(step.key)
    return record is None or not (record.sent_on.keys() - {"email"})
