"""SES accounts and mails of the sandbox.

In: registrations and accepted mails. Out: look-ups by access key, by topic, by message id.
"""

import secrets
import uuid

import msgspec

from deploy.sandbox.messages import Kept, Message

ACCOUNTS_MAX = 1_000
DAY_QUOTA = 50_000.0  # what a fresh production account may send within 24 hours
RATE_PER_SECOND = 14.0  # and within a second


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An HTTP endpoint of a topic; `confirmed` says that it confirmed in an earlier life."""

    endpoint: str
    confirmed: bool = False


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account: one access key, what it may send, and the topic its events come by.

    `identities` are verified domains and addresses; `origin` is how clients reach this sandbox (the
    `base_url` of their accounts), for certificates and confirmations; None: as the latest request
    of the account called it. `signature_version` is the topic's. `tracking` says whether opening an
    HTML mail is told, `receives` whether mail to the account's domains is (a receipt rule).
    `production` False means that recipients must be verified, too. None for a rate or quota: no
    limit.
    """

    access_key_id: str
    secret_access_key: str
    region: str
    identities: tuple[str, ...]
    configuration_sets: tuple[str, ...]
    topic_arn: str
    origin: str | None = None
    subscriptions: tuple[Subscription, ...] = ()
    session_token: str | None = None
    signature_version: str = "1"
    rate_per_second: float | None = None
    day_quota: int | None = None
    tracking: bool = True
    receives: bool = True
    production: bool = True
    sending_enabled: bool = True
    suspended: bool = False
    suppressed: tuple[str, ...] = ()


class Mail(Message, gc=False):
    """One accepted mail, with what its events tell of it."""

    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    configuration_set: str | None = None
    html: bool = False


class Store:
    """Accounts and mails in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.accounts: dict[str, Account] = {}
        self.mails: Kept[Mail] = Kept()

    def register(self, account: Account) -> None:
        """Add or replace an account; raises ValueError for what cannot be one."""
        if account.access_key_id not in self.accounts and len(self.accounts) >= ACCOUNTS_MAX:
            msg = f"more than {ACCOUNTS_MAX} accounts"
            raise ValueError(msg)
        if account.signature_version not in {"1", "2"}:
            msg = "signature_version must be 1 or 2"
            raise ValueError(msg)
        if not account.topic_arn.startswith("arn:aws:sns:"):
            msg = "topic_arn must be the ARN of a topic"
            raise ValueError(msg)
        if account.origin is None and not all(each.confirmed for each in account.subscriptions):
            msg = "origin is needed where an endpoint is to confirm: the base_url of the account"
            raise ValueError(msg)
        self.accounts[account.access_key_id] = account

    def called(self, account: Account, host: bytes) -> Account:
        """Learn how clients reach the sandbox, unless the registration said so."""
        origin = f"http://{host.decode('latin-1')}"
        if account.origin is not None:
            return account
        learnt = msgspec.structs.replace(account, origin=origin)
        self.accounts[account.access_key_id] = learnt
        return learnt


def new_message_id() -> str:
    """Return a message id as SES makes them."""
    return f"{secrets.token_hex(8)}-{uuid.uuid4()}-000000"
