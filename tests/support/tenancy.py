"""A tenant with one Brazilian portfolio: what an operator would store before the first debt.

In: names, a running stack, a rate. Out: accounts for the sandbox, and configuration entries. The
ladder and the packs are the shipped ones; so are the channels, unless the story is about SMS alone.
"""

from collections.abc import Sequence
from typing import Any

from deploy.demo.platform import Platform
from deploy.demo.setting import register
from deploy.local.stack import Stack
from deploy.portfolio import accounts
from deploy.portfolio.accounts import SandboxAccount
from deploy.portfolio.configuration import Choice, Sender, entries
from deploy.portfolio.debtors import BRAZIL
from tests.support import second_providers
from tests.support.tree import ROOT

LADDER, PACKS = "br-consumer-standard", ("br-default", "br-sp")
ACCOUNT_ID, WHATSAPP_ID, EMAIL_ID = "br-sms", "br-whatsapp", "br-email"
SID_VARIABLE = "JOURNEY_SID_{}"
META_VARIABLE = "JOURNEY_META_{}"
MAIL_VARIABLE = "JOURNEY_MAIL_{}"
POLICY = ROOT / "services" / "scheduler"

Json = dict[str, Any]


def variables(numbers: Sequence[int]) -> dict[str, str]:
    """What the senders' environment must hold for these tenants."""
    held = {}
    for number in numbers:
        held[SID_VARIABLE.format(number)] = sid(number)
        held[META_VARIABLE.format(number)] = meta_token(number)
        held[MAIL_VARIABLE.format(number)] = mail_user(number)
    return held


def sid(number: int) -> str:
    """The SMS provider's id of the account of this tenant."""
    return f"AC{number:032x}"


def waba(number: int) -> str:
    """Meta's id of this tenant's business."""
    return f"{800_000_000_000 + number}"


def meta_token(number: int) -> str:
    """The secret that Meta and this tenant share."""
    return f"meta-secret-of-journey-{number}"


def mail_user(number: int) -> str:
    """As whom this tenant hands over mails."""
    return f"journey-{number}"


def sender_number(number: int) -> str:
    """From which number this tenant writes."""
    return f"+55114{number:07d}"


def senders(
    platform: Platform, stack: Stack, number: int, tenant_id: str, channels: Sequence[str]
) -> list[Sender]:
    """Make the sandbox know this tenant's accounts; return their senders.

    `channels` names each channel, or a second provider that takes the channel instead.
    """
    made = _first_providers(stack, number, tenant_id) | _second_providers(stack, number, tenant_id)
    return register(platform, [made[channel] for channel in channels])


def _first_providers(stack: Stack, number: int, tenant_id: str) -> dict[str, SandboxAccount]:
    token, sandbox_url = stack.keys["sandbox_account"], stack.url("sandbox")
    door = f"webhooks/{{}}/{tenant_id}/{{}}"
    return {
        "sms": accounts.sms(
            ACCOUNT_ID,
            number=sender_number(number),
            sid=sid(number),
            sid_variable=SID_VARIABLE.format(number),
            token=token,
            sandbox_url=sandbox_url,
            inbound_url=f"{stack.url('sms_sender')}/{door.format('twilio', ACCOUNT_ID)}",
        ),
        "whatsapp": accounts.whatsapp(
            WHATSAPP_ID,
            number=f"+55113{number:07d}",
            number_id=f"{500_000_000_000 + number}",
            waba_id=waba(number),
            token=meta_token(number),
            held_in=META_VARIABLE.format(number),
            sandbox_url=sandbox_url,
            webhook_url=f"{stack.url('whatsapp_sender')}/{door.format('meta', WHATSAPP_ID)}",
            ladder=ladder(),
        ),
        "email": accounts.email(
            EMAIL_ID,
            address=f"avisos@journey-{number}.example",
            username=mail_user(number),
            username_variable=MAIL_VARIABLE.format(number),
            password=token,
            mail_door=stack.mail_door,
        ),
    }


def _second_providers(stack: Stack, number: int, tenant_id: str) -> dict[str, SandboxAccount]:
    token, sandbox_url = stack.keys["sandbox_account"], stack.url("sandbox")
    return {
        "infobip": second_providers.infobip(
            ACCOUNT_ID,
            number=sender_number(number),
            user=sid(number),
            user_variable=SID_VARIABLE.format(number),
            key=meta_token(number),
            key_variable=META_VARIABLE.format(number),
            token=token,
            sandbox_url=sandbox_url,
            webhook_url=f"{stack.url('sms_sender')}/webhooks/infobip/{tenant_id}/{ACCOUNT_ID}",
        ),
        "ses": second_providers.ses(
            EMAIL_ID,
            address=f"avisos@journey-{number}.example",
            key_id=mail_user(number),
            key_id_variable=MAIL_VARIABLE.format(number),
            token=token,
            sandbox_url=sandbox_url,
            webhook_url=f"{stack.url('email_sender')}/webhooks/ses/{tenant_id}/{EMAIL_ID}",
        ),
    }


def configuration(
    *, tenant_id: str, senders: Sequence[Sender], rate_per_second: float
) -> list[tuple[str, str, Json]]:
    """Everything but the tenant itself, in the order in which it must be stored."""
    choice = Choice(
        ladder_id=LADDER,
        ladder=ladder(),
        packs={pack: (POLICY / "packs" / f"{pack}.yaml").read_text() for pack in PACKS},
        senders=senders,
    )
    # The sample has two countries; one is enough here, and it comes first.
    wanted: dict[tuple[str, str], Json] = {}
    for kind, id_, body in entries(tenant_id=tenant_id, brazil=choice, united_states=choice):
        if kind != "tenant" and body.get("country", BRAZIL.country) == BRAZIL.country:
            wanted.setdefault((kind, id_), body)
    for (kind, _), body in wanted.items():
        if kind == "account":
            body["rate_per_second"] = rate_per_second
    return [(kind, id_, body) for (kind, id_), body in wanted.items()]


def ladder() -> str:
    """The text of the ladder."""
    return (POLICY / "ladders" / f"{LADDER}.yaml").read_text()
