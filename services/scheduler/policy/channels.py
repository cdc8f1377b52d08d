"""Channels: who may use which provider for whom, as data, and which channel a step takes.

In: the portfolio's role, country and accounts. Out: whether a provider may carry the message
(`channel_allowed`, `content_allowed`), and the same mistakes found before any debtor is touched:
those of a portfolio (`check_portfolio`), and of its ladder's steps in it (`check_steps`).
"""

from collections.abc import Mapping

import msgspec

from services.scheduler.policy.locales import text_locale
from services.scheduler.policy.rulebook import HANDOFF, Ladder, Step
from shared.events.configuration import Portfolio, SenderAccount, Template

# Reasons that lie with the portfolio, not with one debtor: no work item for each of thousands.
OF_PORTFOLIO = frozenset(
    {
        "channel_unavailable",
        "provider_forbids_role",
        "account_not_for_role",
        "attestation_missing",
        "email_reminders_only",
        "content_class_refused",
    }
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


class ContentBan(msgspec.Struct, frozen=True, kw_only=True):
    """A class of content that a channel does not carry; `countries` None: anywhere."""

    channel: str
    content_class: str
    rule: str
    countries: tuple[str, ...] | None
    source: str


CONTENT_BANS: tuple[ContentBan, ...] = (
    ContentBan(
        channel="email",
        content_class="marketing",
        rule="email_reminders_only",
        countries=None,
        source="collection practice: e-mail reminds, offers are negotiated elsewhere",
    ),
    ContentBan(
        channel="whatsapp",
        content_class="marketing",
        rule="content_class_refused",
        countries=("US", "CA"),
        source="WhatsApp: no marketing templates to +1 numbers since 2025-04-01",
    ),
)
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


def content_allowed(channel: str, content_class: str, country: str) -> str | None:
    """Return None when the channel carries this class of content there, else the rule's name."""
    for ban in CONTENT_BANS:
        if (ban.channel, ban.content_class) == (channel, content_class) and (
            ban.countries is None or country in ban.countries
        ):
            return ban.rule
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
        attested=bool((portfolio.whatsapp_attestation or "").strip()),
    )


def check_portfolio(portfolio: Portfolio, accounts: Mapping[str, SenderAccount]) -> list[Finding]:
    """Find what must not be: accounts that may not serve the portfolio."""
    findings = []
    for channel, account_id in portfolio.accounts.items():
        account = accounts.get(account_id)
        if account is None:
            findings.append(_finding("account_missing", channel, "no such account", "create it"))
            continue
        refusal = account_allowed(portfolio, account)
        if refusal is not None:
            message = _forbidden(portfolio, account)
            remedy = REMEDIES.get(refusal, "use another provider or channel")
            findings.append(_finding(refusal, channel, message, remedy))
    return findings


def check_steps(
    portfolio: Portfolio,
    ladder: Ladder,
    accounts: Mapping[str, SenderAccount],
    templates: Mapping[str, Template],
) -> list[Finding]:
    """Find the steps that no channel can carry, whoever the debtor is, and no person takes."""
    findings = []
    for step in ladder.steps:
        if HANDOFF in step.channels:
            continue
        why = [_obstacle(portfolio, step, name, accounts, templates) for name in step.channels]
        obstacles = [each for each in why if each is not None]
        if len(obstacles) == len(why):
            findings.append(
                Finding(
                    rule=obstacles[0].rule,
                    field=f"steps.{step.key}",
                    message="no channel can carry this step: "
                    + "; ".join(f"{each.field}: {each.message}" for each in obstacles),
                    remedy=", or ".join(dict.fromkeys(each.remedy for each in obstacles)),
                )
            )
    return findings


def _obstacle(
    portfolio: Portfolio,
    step: Step,
    channel: str,
    accounts: Mapping[str, SenderAccount],
    templates: Mapping[str, Template],
) -> Finding | None:
    """Return what keeps a channel from carrying the step in this portfolio, None when nothing."""
    account_id = portfolio.accounts.get(channel)
    if account_id is None:
        remedy = f"name an account in accounts.{channel}"
        return _on(channel, "channel_unavailable", "the portfolio has no account", remedy)
    account = accounts.get(account_id)
    if account is None:
        message, remedy = f"no account {account_id}", f"store account {account_id}"
        return _on(channel, "account_missing", message, remedy)
    refusal = account_allowed(portfolio, account)
    if refusal is not None:
        remedy = REMEDIES.get(refusal, f"use another provider for {channel}")
        return _on(channel, refusal, _forbidden(portfolio, account), remedy)
    return _wordless(portfolio, step, channel, templates)


def _wordless(
    portfolio: Portfolio, step: Step, channel: str, templates: Mapping[str, Template]
) -> Finding | None:
    """Return what the channel has no words for, None when it has."""
    refusal = content_allowed(channel, step.content_class, portfolio.country)
    if refusal is not None:
        message = f"it carries no {step.content_class} content in {portfolio.country}"
        return _on(channel, refusal, message, f"use another content_class in steps.{step.key}")
    template_id = step.templates[channel]
    template = templates.get(template_id)
    if template is None or template.channel != channel:
        message, remedy = f"no {channel} template {template_id}", f"store template {template_id}"
        return _on(channel, "template_missing", message, remedy)
    if text_locale(template, portfolio.locale) is None:
        message = f"template {template_id} has no text for {portfolio.locale}"
        remedy = f"add {portfolio.locale} to the texts of template {template_id}"
        return _on(channel, "template_locale_missing", message, remedy)
    return None


def _on(channel: str, rule: str, message: str, remedy: str) -> Finding:
    return Finding(rule=rule, field=channel, message=message, remedy=remedy)


def _forbidden(portfolio: Portfolio, account: SenderAccount) -> str:
    return (
        f"{account.provider} may not carry {account.channel} for {portfolio.collector_role} "
        f"collection in {portfolio.country}"
    )


def _finding(rule: str, channel: str, message: str, remedy: str) -> Finding:
    return Finding(rule=rule, field=f"accounts.{channel}", message=message, remedy=remedy)
