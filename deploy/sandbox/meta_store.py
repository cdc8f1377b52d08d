"""Meta's side of things: business accounts, numbers, approved templates, messages, people.

In: registered accounts and accepted messages. Out: look-ups. Times are law time: service windows
and messaging limits are counted in the days in which the debtors live. A person is known by phone,
by `wa_id` (in Brazil without the ninth digit) and by a business-scoped user id; some go by a
username and then show no phone at all.
"""

import re
import secrets
from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from deploy.sandbox.messages import Kept, Message

ACCOUNTS_MAX = 1_000
WINDOW = timedelta(hours=24)
DEFAULT_RATE_PER_SECOND = 80.0  # what Meta gives every number
PAIR_SECONDS = 6.0
COUNTRIES = (("+55", "BR"), ("+1", "US"), ("+52", "MX"), ("+54", "AR"))
TIERS = {
    "TIER_250": 250, "TIER_1K": 1_000, "TIER_2K": 2_000, "TIER_10K": 10_000,
    "TIER_100K": 100_000,
}  # fmt: skip
# Where WhatsApp kept Brazil's eight digits when the ninth came.
_NINTH = re.compile(r"55([3-9]\d)9(\d{8})")
_PLACEHOLDER = re.compile(r"\{\{(\d{1,2})\}\}")


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of a business account; `webhook_url` is its override of the app's callback URL."""

    phone_number_id: str
    number: str
    webhook_url: str | None = None
    rate_per_second: float = DEFAULT_RATE_PER_SECOND


class Approved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An approved template; `body` has {{1}}, {{2}} …, `buttons` are titles of quick replies."""

    name: str
    language: str
    body: str
    category: str = "UTILITY"
    buttons: tuple[str, ...] = ()
    status: str = "APPROVED"

    @property
    def parameters(self) -> int:
        """How many parameters the body takes."""
        return len(set(_PLACEHOLDER.findall(self.body)))

    def filled(self, parameters: list[str]) -> str:
        """Return the body as the person reads it."""
        return _PLACEHOLDER.sub(lambda found: parameters[int(found[1]) - 1], self.body)


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A business account as one app sees it.

    `username_share` of the people that it writes to go by a username: webhooks show their user id
    in place of a phone.
    """

    waba_id: str
    access_token: str
    app_secret: str
    numbers: tuple[Number, ...]
    templates: tuple[Approved, ...] = ()
    messaging_tier: str = "TIER_UNLIMITED"
    pair_seconds: float = PAIR_SECONDS
    username_share: float = 0.0

    def template(self, name: str, language: str) -> Approved | None:
        """Return a template in one language, whatever its status."""
        found = (each for each in self.templates if (each.name, each.language) == (name, language))
        return next(found, None)


class MetaMessage(Message, gc=False):
    """A message with what Meta alone says of it; `failure` is why it will fail after acceptance."""

    number_id: str = ""
    category: str = "utility"
    in_window: bool = False
    tracker: str | None = None
    payloads: tuple[tuple[str, str], ...] = ()  # of its buttons, with their titles
    templated: bool = True
    failure: int | None = None
    dead: bool = False


class Store:
    """Accounts, messages and what Meta remembers of people, in memory."""

    def __init__(self, seed: str) -> None:
        """Start empty; `seed` decides who goes by a username."""
        self._seed = seed
        self.accounts: dict[str, Account] = {}
        self.by_token: dict[str, Account] = {}
        self.numbers: dict[str, tuple[Account, Number]] = {}
        self.messages: Kept[MetaMessage] = Kept()
        self.stopped: set[tuple[str, str]] = set()  # (account, phone): no marketing
        self._heard: dict[tuple[str, str], datetime] = {}
        self._written: dict[tuple[str, str], datetime] = {}
        self._begun: dict[str, dict[str, datetime]] = {}
        self._phones: dict[str, str] = {}

    def register(self, account: Account) -> None:
        """Add or replace an account; raises ValueError beyond the bound."""
        old = self.accounts.get(account.waba_id)
        if old is None and len(self.accounts) >= ACCOUNTS_MAX:
            msg = f"more than {ACCOUNTS_MAX} accounts"
            raise ValueError(msg)
        if old is not None:
            self.by_token.pop(old.access_token, None)
            for number in old.numbers:
                self.numbers.pop(number.phone_number_id, None)
        self.accounts[account.waba_id] = account
        self.by_token[account.access_token] = account
        for number in account.numbers:
            self.numbers[number.phone_number_id] = (account, number)

    def hear(self, number_id: str, phone: str, now: datetime) -> None:
        """Note that a person wrote: the service window opens."""
        self._heard[number_id, phone] = now

    def window_open(self, number_id: str, phone: str, now: datetime) -> bool:
        """Say whether the person wrote to this number within 24 hours."""
        heard = self._heard.get((number_id, phone))
        return heard is not None and now < heard + WINDOW

    def too_soon(self, account: Account, number_id: str, phone: str, now: datetime) -> bool:
        """Say whether the pair of numbers is over its rate."""
        last = self._written.get((number_id, phone))
        return last is not None and timedelta(0) <= now - last < timedelta(
            seconds=account.pair_seconds
        )

    def beyond_the_tier(self, account: Account, phone: str, now: datetime) -> bool:
        """Say whether one more person would be beyond the account's messaging limit."""
        limit = TIERS.get(account.messaging_tier)
        if limit is None:
            return False
        begun = self._begun.setdefault(account.waba_id, {})
        for known in [each for each, at in begun.items() if at + WINDOW <= now]:
            del begun[known]
        return phone not in begun and len(begun) >= limit

    def add(self, account: Account, message: MetaMessage, now: datetime) -> None:
        """Keep an accepted message."""
        self.messages.add(message)
        self._written[message.number_id, message.to] = now
        if not message.in_window:
            self._begun.setdefault(account.waba_id, {}).setdefault(message.to, now)

    def user_id(self, phone: str) -> str:
        """Return a person's business-scoped user id, and remember whose it is."""
        country = next((name for prefix, name in COUNTRIES if phone.startswith(prefix)), "ZZ")
        digits = int.from_bytes(blake2b(f"{self._seed}|{phone}".encode(), digest_size=7).digest())
        made = f"{country}.{digits}"
        self._phones[made] = phone
        return made

    def phone_of(self, user_id: str) -> str | None:
        """Return whose user id this is, if anybody's we know."""
        return self._phones.get(user_id)

    def shows_phone(self, account: Account, phone: str) -> bool:
        """Say whether a person's phone is shown to businesses."""
        draw = blake2b(f"username|{self._seed}|{phone}".encode(), digest_size=4).digest()
        return int.from_bytes(draw) / 2**32 >= account.username_share


def wa_id(phone: str) -> str:
    """Return a phone as WhatsApp writes it."""
    digits = phone.removeprefix("+")
    old = _NINTH.fullmatch(digits)
    return f"55{old[1]}{old[2]}" if old is not None else digits


def new_id() -> str:
    """Return a fresh message id."""
    return "wamid." + b64encode(secrets.token_bytes(30)).decode()
