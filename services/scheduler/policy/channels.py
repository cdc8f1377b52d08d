"""Channels: who may use which provider for whom, as data, and which channel a step takes.

In: the portfolio's role, country and accounts. Out: whether a provider may carry the message
(`channel_allowed`), a step's channel with its account, template and address, or why there is none,
and `check_portfolio`, which finds the same mistakes before any debtor is touched.
"""

from datetime import date
from typing import NamedTuple

import msgspec

from services.scheduler.policy.consent import pick_point
from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.rulebook import Ladder, Rulebook, Step
from services.scheduler.policy.state import DebtorState, Point
from shared.events.configuration import Portfolio, SenderAccount, Template

# Reasons that configuration can mend in a moment: the step waits instead of being given up.
PASSING = frozenset({"account_missing", "template_missing"})
# Reasons that lie with the portfolio, not with one debtor: no work item for each of thousands.
OF_PORTFOLIO = frozenset(
    {"channel_unavailable", "provider_forbids_role", "account_not_for_role", "attestation_missing"}
)

REMEDIES = {
    "attestation_missing": "record the written attestation in whatsapp_attestation",
    "account_not_for_role": "choose another account, or extend its roles or countries",
}


class Prohibition(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider forbids; None in `provider` or `countries` means any."""

    provider: str | None
    channel: str
    role: str
    countries: tuple[str, ...] | None
    source: str
    attestation: bool = False


PROHIBITIONS: tuple[Prohibition, ...] = (
    Prohibition(
        provider="twilio",
        channel="sms",
        role="third_party",
        countries=("US", "CA"),
        source="Twilio errors 30863 and 30460: third-party debt collection is refused",
    ),
    Prohibition(
        provider=None,
        channel="whatsapp",
        role="third_party",
        countries=None,
        source="WhatsApp Business Messaging Policy: debt collection; needs a written attestation",
        attestation=True,
    ),
)


class Way(NamedTuple):
    """The way a step's message goes: channel, account, template, address."""

    channel: str
    account_id: str
    template_id: str
    point: Point


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake of a portfolio that must be mended before it is used."""

    rule: str
    field: str
    message: str
    remedy: str


def channel_allowed(
    provider: str, country: str, role: str, channel: str, *, attested: bool = False
) -> str | None:
    """Return None when the provider may carry it, else the reason: a rule's name."""
    for ban in PROHIBITIONS:
        if ban.channel != channel or ban.role != role or ban.provider not in (None, provider):
            continue
        if ban.countries is not None and country not in ban.countries:
            continue
        if not ban.attestation:
            return "provider_forbids_role"
        if not attested:
            return "attestation_missing"
    return None


def account_allowed(portfolio: Portfolio, account: SenderAccount) -> str | None:
    """Return None when the account may serve the portfolio, else the reason."""
    if portfolio.collector_role not in account.roles:
        return "account_not_for_role"
    if account.countries and portfolio.country not in account.countries:
        return "account_not_for_role"
    return channel_allowed(
        account.provider,
        portfolio.country,
        portfolio.collector_role,
        account.channel,
        attested=portfolio.whatsapp_attestation is not None,
    )


def choose_way(
    state: DebtorState,
    step: Step,
    portfolio: Portfolio,
    rulebook: Rulebook,
    jurisdiction: Jurisdiction,
    day: date,
) -> Way | str:
    """Return the first channel of the step that can be used, or the first reason why none can."""
    why: str | None = None
    for channel in step.channels:
        way = _try(state, step, channel, portfolio, rulebook, jurisdiction, day)
        if isinstance(way, Way):
            return way
        why = why or way
    return why or "channel_unavailable"


def check_way(
    state: DebtorState,
    channel: str,
    template_id: str,
    portfolio: Portfolio,
    rulebook: Rulebook,
    jurisdiction: Jurisdiction,
    day: date,
) -> Way | str:
    """Return how a contact on this channel with this template can go, or why it cannot."""
    account_id = portfolio.accounts.get(channel)
    if account_id is None:
        return "channel_unavailable"
    account = rulebook.accounts.get(account_id)
    if account is None:
        return "account_missing"
    refusal = account_allowed(portfolio, account[1])
    if refusal is not None:
        return refusal
    if template_id not in rulebook.templates:
        return "template_missing"
    law = jurisdiction.on(channel, day)
    point = pick_point(state, channel, opt_in=law.opt_in, opt_out_scope=law.opt_out_scope)
    return point if isinstance(point, str) else Way(channel, account_id, template_id, point)


def check_portfolio(
    portfolio: Portfolio,
    ladder: Ladder | None,
    accounts: dict[str, SenderAccount],
    templates: dict[str, Template] | None = None,
) -> list[Finding]:
    """Find what would stop a portfolio's ladder, before any debtor is touched."""
    findings = []
    for channel, account_id in portfolio.accounts.items():
        account = accounts.get(account_id)
        if account is None:
            findings.append(_finding("account_missing", channel, "no such account", "create it"))
            continue
        refusal = account_allowed(portfolio, account)
        if refusal is not None:
            findings.append(
                _finding(
                    refusal,
                    channel,
                    f"{account.provider} may not carry {channel} for {portfolio.collector_role} "
                    f"collection in {portfolio.country}",
                    REMEDIES.get(refusal, "use another provider or channel"),
                )
            )
    for step in ladder.steps if ladder is not None else ():
        if not any(channel in portfolio.accounts for channel in step.channels):
            text = f"step {step.key} has no channel that the portfolio can use"
            findings.append(_finding("channel_unavailable", "*", text, "add an account"))
        for template_id in step.templates.values() if templates is not None else ():
            if templates is not None and template_id not in templates:
                text = f"step {step.key} names a template that does not exist"
                findings.append(_finding("template_missing", "*", text, "create the template"))
    return findings


def _try(
    state: DebtorState,
    step: Step,
    channel: str,
    portfolio: Portfolio,
    rulebook: Rulebook,
    jurisdiction: Jurisdiction,
    day: date,
) -> Way | str:
    template_id = step.templates[channel]
    return check_way(state, channel, template_id, portfolio, rulebook, jurisdiction, day)


def _finding(rule: str, channel: str, message: str, remedy: str) -> Finding:
    return Finding(rule=rule, field=f"accounts.{channel}", message=message, remedy=remedy)
