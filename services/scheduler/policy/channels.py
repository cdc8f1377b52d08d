"""Channels: who may use which provider for whom, as data, and which channel a step takes.

In: the portfolio's role, country and accounts. Out: whether a provider may carry the message
(`channel_allowed`), a step's channel with its account, template and address, or why there is none,
and `check_portfolio`, which finds the same mistakes before any debtor is touched.
"""

import msgspec

from services.scheduler.policy.rulebook import HANDOFF, Ladder
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
        if not {*portfolio.accounts, HANDOFF} & set(step.channels):
            text = f"step {step.key} has no channel that the portfolio can use"
            findings.append(_finding("channel_unavailable", "*", text, "add an account"))
        for template_id in step.templates.values() if templates is not None else ():
            if templates is not None and template_id not in templates:
                text = f"step {step.key} names a template that does not exist"
                findings.append(_finding("template_missing", "*", text, "create the template"))
    return findings


def _finding(rule: str, channel: str, message: str, remedy: str) -> Finding:
    return Finding(rule=rule, field=f"accounts.{channel}", message=message, remedy=remedy)
