"""What the sample needs before the first event: accounts at the sandbox, and configuration.

In: a running stack. Out: sender accounts for SMS, WhatsApp and e-mail known to the provider sandbox
(with the secrets that the senders' environment holds), and tenant, templates, packs, ladders and
portfolios stored through the configuration API, as an operator would store them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from deploy.demo.platform import Json, Platform
from deploy.local.keys import SANDBOX_MAIL_USERS, SANDBOX_SIDS
from deploy.portfolio import accounts
from deploy.portfolio.accounts import SandboxAccount
from deploy.portfolio.configuration import Choice, Sender, entries

POLICY_FOLDER = Path(__file__).parents[2] / "services" / "scheduler"
# Twilio itself forbids third-party collection by SMS in the US; a house with the same API may not.
SMS_PROVIDERS = {"br": "twilio", "us": "twilio_compatible"}
NUMBERS = {"br-sms": "+5511940000001", "us-sms": "+12025550142"}
ACCOUNT_SIDS = {
    "br-sms": SANDBOX_SIDS["SANDBOX_BR_SID"],
    "us-sms": SANDBOX_SIDS["SANDBOX_US_SID"],
}
MAILBOXES = {"br": "avisos@casa-aurora.example", "us": "notices@lakeside-recovery.example"}
MARKETS = ("br", "us")
LADDERS = {"br": "br-consumer-standard", "us": "us-third-party"}
PACKS = {
    "br": ("br-default", "br-sp", "br-rj", "br-es", "br-am", "br-al"),
    "us": ("us-federal", "us-ma"),
}
# WhatsApp is off for third parties without a written attestation: the sample's agency has none.
WHATSAPP_NUMBER, WHATSAPP_NUMBER_ID = "+5511940000002", "106540352242922"
WHATSAPP_BUSINESS = "102290129340398"


class Site(Protocol):
    """A running stack, as far as the sample needs it: its URLs and the sandbox's secret."""

    @property
    def keys(self) -> Mapping[str, str]:
        """Secrets of the stack, by a name of its own."""

    @property
    def mail_door(self) -> str:
        """Where mails for the e-mail sender come in: host:port."""

    def url(self, name: str) -> str:
        """Base URL of a process."""


def ladder(market: str) -> str:
    """Return the text of the ladder of a market: br or us."""
    return _text("ladders", LADDERS[market])


def prepare(
    platform: Platform, stack: Site, tenant_id: str, *, rate_per_second: float | None = None
) -> None:
    """Register the accounts at the sandbox and store the whole configuration.

    `rate_per_second` replaces the sample's rate of every account.
    """
    senders = register_accounts(platform, stack, tenant_id)
    brazil, united_states = (_choice(market, senders[market]) for market in MARKETS)
    stored: list[tuple[str, str, Json]] = []
    for kind, id_, body in entries(tenant_id=tenant_id, brazil=brazil, united_states=united_states):
        if kind == "account" and rate_per_second is not None:
            stored.append((kind, id_, {**body, "rate_per_second": rate_per_second}))
        elif kind != "tenant":
            stored.append((kind, id_, body))
    platform.configure(tenant_id, stored)


def register_accounts(platform: Platform, stack: Site, tenant_id: str) -> dict[str, list[Sender]]:
    """Make the sandbox know every account of the sample; return the senders of each market."""
    return {market: register(platform, _accounts(stack, tenant_id, market)) for market in MARKETS}


def register(platform: Platform, wanted: Sequence[SandboxAccount]) -> list[Sender]:
    """Make the sandbox know these accounts; return their senders, with the URL that it told."""
    senders = []
    for each in wanted:
        told = platform.sandbox("POST", "/sandbox/accounts", dict(each.registration))
        base_url = told.get("url") or each.sender.base_url
        senders.append(msgspec.structs.replace(each.sender, base_url=base_url))
    return senders


def _accounts(stack: Site, tenant_id: str, market: str) -> list[SandboxAccount]:
    token, sandbox_url = stack.keys["sandbox_account"], stack.url("sandbox")
    name = market.upper()
    found = [
        accounts.sms(
            f"{market}-sms",
            number=NUMBERS[f"{market}-sms"],
            sid=ACCOUNT_SIDS[f"{market}-sms"],
            sid_variable=f"SANDBOX_{name}_SID",
            token=token,
            sandbox_url=sandbox_url,
            inbound_url=_door(stack, "sms", SMS_PROVIDERS[market], tenant_id, f"{market}-sms"),
            provider=SMS_PROVIDERS[market],
        ),
        accounts.email(
            f"{market}-email",
            address=MAILBOXES[market],
            username=SANDBOX_MAIL_USERS[f"SANDBOX_{name}_MAIL_USER"],
            username_variable=f"SANDBOX_{name}_MAIL_USER",
            password=token,
            mail_door=stack.mail_door,
        ),
    ]
    if market == "br":
        found.append(
            accounts.whatsapp(
                "br-whatsapp",
                number=WHATSAPP_NUMBER,
                number_id=WHATSAPP_NUMBER_ID,
                waba_id=WHATSAPP_BUSINESS,
                token=token,
                held_in="SANDBOX_AUTH_TOKEN",
                sandbox_url=sandbox_url,
                webhook_url=_door(stack, "whatsapp", "meta", tenant_id, "br-whatsapp"),
                ladder=ladder(market),
            )
        )
    return found


def _door(stack: Site, channel: str, provider: str, tenant_id: str, account_id: str) -> str:
    """Where the provider posts receipts and replies."""
    return f"{stack.url(f'{channel}_sender')}/webhooks/{provider}/{tenant_id}/{account_id}"


def _choice(market: str, senders: Sequence[Sender]) -> Choice:
    return Choice(
        ladder_id=LADDERS[market],
        ladder=ladder(market),
        packs={pack: _text("packs", pack) for pack in PACKS[market]},
        senders=senders,
    )


def _text(folder: str, name: str) -> str:
    return (POLICY_FOLDER / folder / f"{name}.yaml").read_text()
