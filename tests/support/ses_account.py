"""The account at Amazon SES that tests use: its names there, as the sandbox knows it, as ours.

In: where the sandbox is, and what a test wants otherwise. Out: the registration, the account's
configuration, and Amazon's own client for it.
"""

from typing import Any

import botocore.session
from botocore.config import Config

from shared.events.configuration import SenderAccount

KEY_ID = "AKIDEXAMPLE0000SES01"
SECRET = "ses-secret/access+key-6671"
REGION = "sa-east-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:mail-events"
CONFIGURATION_SET = "reminders"
DOMAIN = "example.com"
SENDER = f"cobranca@{DOMAIN}"


def registration(**changes: Any) -> dict[str, Any]:
    """What the sandbox is told of the account."""
    account: dict[str, Any] = {
        "provider": "ses",
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "region": REGION,
        "identities": [DOMAIN],
        "configuration_sets": [CONFIGURATION_SET],
        "topic_arn": TOPIC,
    }
    return account | changes


def configured(base_url: str, **changes: Any) -> SenderAccount:
    """The account as a tenant configures it."""
    fields: dict[str, Any] = {
        "channel": "email",
        "provider": "ses",
        "sender": SENDER,
        "rate_per_second": 10.0,
        "credentials": {},
        "base_url": base_url,
        "options": {
            "region": REGION,
            "topic_arn": TOPIC,
            "configuration_set": CONFIGURATION_SET,
            "bounce_domain": f"returns.{DOMAIN}",
        },
    }
    return SenderAccount(**(fields | changes))


def amazons_client(
    url: str, *, key_id: str = KEY_ID, secret: str = SECRET, region: str = REGION, **keys: Any
) -> Any:
    """Amazon's client for the account; it must be closed."""
    return botocore.session.Session().create_client(
        "sesv2",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
        **keys,
    )
