"""What the sample needs before the first event: accounts at the sandbox, and configuration.

In: a running stack. Out: two sender accounts known to the provider sandbox (with the secret that
the senders' environment holds), and tenant, templates, packs, ladders and portfolios stored
through the configuration API, as an operator would store them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from deploy.demo.platform import Json, Platform
from deploy.local.keys import SANDBOX_SIDS
from deploy.portfolio.configuration import Choice, Sender, entries

POLICY_FOLDER = Path(__file__).parents[2] / "services" / "scheduler"
SID_VARIABLES = {"br-sms": "SANDBOX_BR_SID", "us-sms": "SANDBOX_US_SID"}
ACCOUNT_SIDS = {account: SANDBOX_SIDS[name] for account, name in SID_VARIABLES.items()}
# What the senders' environment must hold besides the secrets of every local stack.
ENVIRONMENT = {"sms_sender": {SID_VARIABLES[account]: sid for account, sid in ACCOUNT_SIDS.items()}}
NUMBERS = {"br-sms": "+5511940000001", "us-sms": "+12025550142"}
PROVIDERS = {"br-sms": "twilio", "us-sms": "twilio_compatible"}
LADDERS = {"br-sms": "br-consumer-standard", "us-sms": "us-third-party"}
PACKS = {
    "br-sms": ("br-default", "br-sp", "br-rj", "br-es", "br-am", "br-al"),
    "us-sms": ("us-federal", "us-ma"),
}


class Site(Protocol):
    """A running stack, as far as the sample needs it: its URLs and the sandbox's secret."""

    @property
    def keys(self) -> Mapping[str, str]:
        """Secrets of the stack, by a name of its own."""

    def url(self, name: str) -> str:
        """Base URL of a process."""


def choices(sandbox_url: str) -> tuple[Choice, Choice]:
    """What the Brazilian and the US portfolio run on."""
    return _choice("br-sms", sandbox_url), _choice("us-sms", sandbox_url)


def prepare(
    platform: Platform, stack: Site, tenant_id: str, *, rate_per_second: float | None = None
) -> None:
    """Register the accounts at the sandbox and store the whole configuration.

    `rate_per_second` replaces the sample's rate of both accounts.
    """
    register_accounts(platform, stack, tenant_id)
    brazil, united_states = choices(stack.url("sandbox"))
    stored: list[tuple[str, str, Json]] = []
    for kind, id_, body in entries(tenant_id=tenant_id, brazil=brazil, united_states=united_states):
        if kind == "account" and rate_per_second is not None:
            stored.append((kind, id_, {**body, "rate_per_second": rate_per_second}))
        elif kind != "tenant":
            stored.append((kind, id_, body))
    platform.configure(tenant_id, stored)


def register_accounts(platform: Platform, stack: Site, tenant_id: str) -> None:
    """Make the sandbox know both accounts, their secret and where replies go."""
    for account_id in ACCOUNT_SIDS:
        platform.sandbox("POST", "/sandbox/accounts", _account(stack, tenant_id, account_id))


def _account(stack: Site, tenant_id: str, account_id: str) -> Json:
    provider = PROVIDERS[account_id]
    inbound = f"{stack.url('sms_sender')}/webhooks/{provider}/{tenant_id}/{account_id}"
    return {
        "sid": ACCOUNT_SIDS[account_id],
        "token": stack.keys["sandbox_account"],
        "numbers": [{"number": NUMBERS[account_id], "inbound_url": inbound}],
    }


def _choice(account_id: str, sandbox_url: str) -> Choice:
    ladder_id = LADDERS[account_id]
    sender = Sender(
        account_id=account_id,
        number=NUMBERS[account_id],
        base_url=sandbox_url,
        credentials={
            "account_sid": f"env:{SID_VARIABLES[account_id]}",
            "auth_token": "env:SANDBOX_AUTH_TOKEN",
        },
    )
    return Choice(
        ladder_id=ladder_id,
        ladder=_text("ladders", ladder_id),
        packs={pack: _text("packs", pack) for pack in PACKS[account_id]},
        senders=[msgspec.structs.replace(sender, provider=PROVIDERS[account_id])],
    )


def _text(folder: str, name: str) -> str:
    return (POLICY_FOLDER / folder / f"{name}.yaml").read_text()
