"""Accounts at the channels' second providers: SMS by Infobip, e-mail by Amazon SES.

In: how the account is called, the variables that hold its secrets, where its webhooks go. Out: what
the sandbox must know of it and the `Sender` that is configured for it, like `deploy.portfolio`'s.
"""

from deploy.portfolio.accounts import SandboxAccount
from deploy.portfolio.configuration import Sender

REGION, CONFIGURATION_SET = "sa-east-1", "reminders"
TOKEN = "env:SANDBOX_AUTH_TOKEN"


def infobip(
    account_id: str,
    *,
    number: str,
    user: str,
    user_variable: str,
    key: str,
    key_variable: str,
    token: str,
    sandbox_url: str,
    webhook_url: str,
) -> SandboxAccount:
    """Return an account that sends text messages from `number`, found by its API key."""
    return SandboxAccount(
        registration={
            "provider": "infobip",
            "id": user,
            "api_key": key,
            "senders": [number.removeprefix("+")],
            "webhook_url": webhook_url,
            "webhook_user": user,
            "webhook_password": token,
        },
        sender=Sender(
            account_id=account_id,
            number=number,
            base_url=sandbox_url,
            credentials={
                "api_key": f"env:{key_variable}",
                "webhook_user": f"env:{user_variable}",
                "webhook_password": TOKEN,
            },
            provider="infobip",
        ),
    )


def ses(
    account_id: str,
    *,
    address: str,
    key_id: str,
    key_id_variable: str,
    token: str,
    sandbox_url: str,
    webhook_url: str,
) -> SandboxAccount:
    """Return an account that sends mails; a topic of its own tells what became of them."""
    domain = address.rpartition("@")[2]
    topic = f"arn:aws:sns:{REGION}:123456789012:{key_id}"
    return SandboxAccount(
        registration={
            "provider": "ses",
            "access_key_id": key_id,
            "secret_access_key": token,
            "region": REGION,
            "identities": [domain],
            "configuration_sets": [CONFIGURATION_SET],
            "topic_arn": topic,
            "origin": sandbox_url,
            "subscriptions": [{"endpoint": webhook_url, "confirmed": True}],
        },
        sender=Sender(
            account_id=account_id,
            number=address,
            base_url=sandbox_url,
            credentials={"access_key_id": f"env:{key_id_variable}", "secret_access_key": TOKEN},
            provider="ses",
            channel="email",
            options={
                "region": REGION,
                "topic_arn": topic,
                "configuration_set": CONFIGURATION_SET,
                "bounce_domain": f"mail.{domain}",
            },
        ),
    )
