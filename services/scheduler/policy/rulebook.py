"""The rulebook: one tenant's configuration as the policy reads it, with what is derived cached.

In: portfolios, ladders, packs, templates, accounts with their versions, from the configuration
topic. Out: look-ups. A rulebook never changes; when configuration changes the caller builds a new
one, and the caches go with the old one.
"""

from collections.abc import Mapping
from datetime import date

import msgspec

from shared.events.configuration import Portfolio, SenderAccount, Template

HANDOFF = "handoff"  # a person: no provider, no template
STAGE_NAMES = ("reminder", "notice", "extrajudicial", "bureau", "judicial")


class PolicyError(ValueError):
    """A ladder or pack that must not be used: where (`line`, `field`), what, and the remedy."""

    def __init__(self, message: str, *, line: int, field: str, remedy: str) -> None:
        """Keep the parts for the API's problem answer."""
        super().__init__(f"line {line}: {field}: {message}; {remedy}")
        self.message = message
        self.line = line
        self.field = field
        self.remedy = remedy


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """When a step goes on to its next channel: whole days after the message left; None: never.

    A message that certainly did not arrive does not wait for `undelivered_days`.
    """

    undelivered_days: int | None = None
    unread_days: int | None = None
    unanswered_days: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a ladder. `key` is stable for ever; `offset_days` counts from the due date.

    `channels` stand in order of preference: the first usable one takes the message, `fallback` says
    when the next one follows; `handoff` at their end is a person.

    `misfire` says what a late step does: skip (valid for `max_days_late` days), send_once (until a
    later step is due), replan (never expires). `after_step` and `wait_days`: not before so many
    days after that step was sent.
    """

    key: str
    offset_days: int
    stage: int
    channels: tuple[str, ...]
    templates: dict[str, str]
    content_class: str = "utility"
    mandatory: bool = False
    misfire: str = "skip"
    max_days_late: int = 3
    after_step: str | None = None
    wait_days: int = 0
    fallback: Fallback | None = None
    objective: str = ""

    @property
    def message_channels(self) -> tuple[str, ...]:
        """The channels that carry messages: all but the person at the end."""
        return tuple(channel for channel in self.channels if channel != HANDOFF)


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """A régua: steps in order of offset. `gap_days` is the least distance between two steps."""

    id: str
    version: int
    steps: tuple[Step, ...]
    title: str = ""
    gap_days: int = 1

    def step(self, key: str) -> Step | None:
        """Return the step with this key, None when this version has none."""
        for step in self.steps:
            if step.key == key:
                return step
        return None


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """At most `maximum` contacts per `scope` (debtor or debt) on `channels` within `days` dates.

    `window` is calendar_days ([d-(n-1), d] in the debtor's zone) or week (ISO week, days ignored).
    """

    key: str
    channels: tuple[str, ...]
    scope: str
    maximum: int
    days: int
    window: str = "calendar_days"
    min_gap_days: int = 0
    status: str = "house"


class HolidayRule(msgspec.Struct, frozen=True, kw_only=True):
    """Closed days: the library's public holidays, named optional ones, and extra dates.

    `subdivision` is `of_place` (the debtor's own), a code, or None (national only).
    """

    country: str
    subdivision: str | None = "of_place"
    optional_days: tuple[str, ...] = ()
    extra_days: tuple[date, ...] = ()


class Window(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A half-open local window [open, close) in minutes after midnight; close may pass midnight."""

    open: int
    close: int


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """One law, guidance or house rule as data. `windows` has seven tuples, Monday first, or None.

    `status` is law, guidance or house; caps carry their own. Applies to debtors with an indicated
    place that matches, for the collector roles named, on dates [effective_from, effective_to).
    `stage_waits`: no step of that stage or higher before so many days after the first sent step.
    """

    id: str
    version: int
    status: str
    source: str
    checked_on: date
    effective_from: date
    roles: tuple[str, ...]
    channels: tuple[str, ...]
    country: str | None = None
    subdivision: str | None = None
    city: str | None = None
    effective_to: date | None = None
    title: str = ""
    windows: tuple[tuple[Window, ...], ...] | None = None
    holidays: HolidayRule | None = None
    caps: tuple[Cap, ...] = ()
    consent: dict[str, str] = {}
    opt_out_scope: str = "address"
    opt_out_text: dict[str, str] = {}
    stage_waits: dict[int, int] = {}
    retention_days: int | None = None

    def in_force(self, day: date) -> bool:
        """Say whether the pack binds on this local date."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


class Rulebook:
    """One tenant's rules. Each mapping gives (version, value) by id; versions are configuration's.

    `old_ladders` holds earlier versions by (id, version) for debts still on them; a debt whose
    version is missing continues on the newest (step keys are stable, so nothing repeats).
    """

    def __init__(  # one argument per kind of configuration: grouping them would only hide that
        self,
        *,
        tenant_id: str,
        portfolios: Mapping[str, tuple[int, Portfolio]],
        ladders: Mapping[str, tuple[int, Ladder]],
        packs: Mapping[str, tuple[int, Pack]],
        templates: Mapping[str, tuple[int, Template]],
        accounts: Mapping[str, tuple[int, SenderAccount]],
        old_ladders: Mapping[tuple[str, int], Ladder] | None = None,
    ) -> None:
        """Keep the parts; nothing is computed before it is asked for."""
        self.tenant_id = tenant_id
        self.portfolios = dict(portfolios)
        self.ladders = dict(ladders)
        self.packs = dict(packs)
        self.templates = dict(templates)
        self.accounts = dict(accounts)
        self.old_ladders = dict(old_ladders or {})
        self.jurisdictions: dict[object, object] = {}

    def portfolio(self, portfolio_id: str) -> Portfolio | None:
        """Return the portfolio, None when it is not configured (yet)."""
        found = self.portfolios.get(portfolio_id)
        return found[1] if found else None
