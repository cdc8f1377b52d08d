"""Sender accounts of one tenant at the provider sandbox, one function per channel.

In: how the account is called, where its receipts and replies go, the names of the variables that
hold its secrets. Out: what the sandbox must know of it (`registration`), and the `Sender` that is
configured for it. SMS goes by Twilio's API, WhatsApp by Meta's, e-mail by SMTP.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deploy.portfolio import templates
from deploy.portfolio.configuration import RATE_PER_SECOND, Sender, templates_of

PAIR_RATE_PER_MINUTE = 10.0  # one message in six seconds to one person: Meta's own limit


class SandboxAccount(msgspec.Struct, frozen=True):
    """An account twice: as the sandbox registers it, and as the tenant configures it."""

    registration: Mapping[str, Any]
    sender: Sender


def sms(
    account_id: str,
    *,
    number: str,
    sid: str,
    sid_variable: str,
    token: str,
    sandbox_url: str,
    inbound_url: str,
    provider: str = "twilio",
) -> SandboxAccount:
    """Return an account that sends text messages from `number`."""
    return SandboxAccount(
        registration={
            "sid": sid,
            "token": token,
            "numbers": [{"number": number, "inbound_url": inbound_url}],
        },
        sender=Sender(
            account_id=account_id,
            number=number,
            base_url=sandbox_url,
            credentials={
                "account_sid": f"env:{sid_variable}",
                "auth_token": "env:SANDBOX_AUTH_TOKEN",
            },
            provider=provider,
        ),
    )


def whatsapp(
    account_id: str,
    *,
    number: str,
    number_id: str,
    waba_id: str,
    token: str,
    held_in: str,
    sandbox_url: str,
    webhook_url: str,
    ladder: str,
) -> SandboxAccount:
    """Return an account that sends WhatsApp messages; the ladder's templates are approved."""
    approved = [
        each for _, body in templates_of(ladder, "whatsapp") for each in templates.approved(body)
    ]
    secret = f"env:{held_in}"
    return SandboxAccount(
        registration={
            "provider": "meta",
            "waba_id": waba_id,
            "access_token": token,
            "app_secret": token,
            "numbers": [
                {
                    "phone_number_id": number_id,
                    "number": number,
                    "webhook_url": webhook_url,
                    "rate_per_second": RATE_PER_SECOND,
                }
            ],
            "templates": approved,
        },
        sender=Sender(
            account_id=account_id,
            number=number,
            base_url=sandbox_url,
            credentials={"access_token": secret, "app_secret": secret, "verify_token": secret},
            provider="meta",
            channel="whatsapp",
            options={"phone_number_id": number_id, "waba_id": waba_id},
            pair_rate_per_minute=PAIR_RATE_PER_MINUTE,
        ),
    )


def email(
    account_id: str,
    *,
    address: str,
    username: str,
    username_variable: str,
    password: str,
    mail_door: str,
    relay_url: str = "",
) -> SandboxAccount:
    """Return an account that sends mails by a relay, whose URL the registration answers.

    Bounces and replies come in at `mail_door` (host:port), under a domain of their own.
    """
    domain = f"mail.{address.rpartition('@')[2]}"
    return SandboxAccount(
        registration={
            "provider": "smtp",
            "username": username,
            "password": password,
            "senders": [address],
            "domains": [domain],
            "inbound": mail_door,
        },
        sender=Sender(
            account_id=account_id,
            number=address,
            base_url=relay_url,
            credentials={
                "username": f"env:{username_variable}",
                "password": "env:SANDBOX_AUTH_TOKEN",
            },
            provider="smtp",
            channel="email",
            options={"bounce_domain": domain},
        ),
    )
