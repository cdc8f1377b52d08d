"""How imaginary debtors behave: what becomes of a message, decided from the seed alone.

In: profile, seed, recipient and the how-manyth message this is. Out: a `Plan`: when it is sent and
delivered or not, whether and what the person answers, whether and how much the person pays. Pure:
the same seed gives the same life, whatever the speed of the machine and the order of the calls.
"""

import struct
from hashlib import blake2b

import msgspec

UNITS = struct.Struct(">8Q")
UNIT = 2.0**-64
HOUR_SECONDS = 3_600.0

OUTCOMES = ("delivered", "undelivered", "silent")
INTENTS = (
    "opt_out_keyword",  # one of the provider's own English words: it blocks the number by itself
    "opt_out_words",  # the same wish in Portuguese, Spanish or a sentence: ours to understand
    "promise",
    "paid",
    "dispute",
    "wrong_person",
    "help",
    "unclear",
)


_SHARES = (
    "unreachable_numbers", "landlines", "undelivered", "silent", "slow", "reply", "pay",
    "pay_in_part", "promise_kept", "spanish_share", "read",
)  # fmt: skip
_RANGES = (
    "sent_ms", "delivered_ms", "slow_seconds", "reply_seconds", "pay_seconds", "promise_days",
    "read_seconds",
)  # fmt: skip
CODES = {"30003": 0.8, "30005": 0.1, "30006": 0.1}
ANSWERS = {
    "opt_out_keyword": 0.04,
    "opt_out_words": 0.06,
    "promise": 0.38,
    "paid": 0.14,
    "dispute": 0.08,
    "wrong_person": 0.08,
    "help": 0.08,
    "unclear": 0.14,
}


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of behaviour. Delays in ms are machine time, in seconds law time.

    Pairs are ranges. `unreachable_numbers` is the share of recipients whose number does not exist
    (always 30005) and `landlines` of those that take no SMS (30006); `undelivered` then falls on
    single messages. `slow` messages are delivered only after `slow_seconds` of law time. `silent`
    messages get no receipt after `sent`. `read` is the share of delivered messages that are opened
    (told by providers that can). `spanish_share` is the share of US recipients who write
    Spanish.
    """

    unreachable_numbers: float = 0.02
    landlines: float = 0.01
    undelivered: float = 0.03
    undelivered_codes: dict[str, float] = msgspec.field(default_factory=lambda: dict(CODES))
    silent: float = 0.01
    sent_ms: tuple[float, float] = (1.0, 4.0)
    delivered_ms: tuple[float, float] = (2.0, 12.0)
    slow: float = 0.02
    slow_seconds: tuple[float, float] = (120.0, 4 * HOUR_SECONDS)
    statuses: tuple[str, ...] = ("sent", "delivered")
    reply: float = 0.10
    reply_seconds: tuple[float, float] = (120.0, 20 * HOUR_SECONDS)
    intents: dict[str, float] = msgspec.field(default_factory=lambda: dict(ANSWERS))
    pay: float = 0.06
    pay_seconds: tuple[float, float] = (HOUR_SECONDS, 48 * HOUR_SECONDS)
    pay_in_part: float = 0.2
    promise_days: tuple[int, int] = (1, 6)
    promise_kept: float = 0.65
    spanish_share: float = 0.3
    read: float = 0.7
    read_seconds: tuple[float, float] = (60.0, 12 * HOUR_SECONDS)
    callback_retry_ms: tuple[int, ...] = (250, 500, 1_000, 2_000, 4_000, 8_000, 15_000)


class ProfileError(ValueError):
    """A profile that makes no sense; the message names the field."""


SILENT_DEBTORS = Profile(
    unreachable_numbers=0.0, landlines=0.0, undelivered=0.0, silent=0.0, slow=0.0,
    sent_ms=(0.0, 0.0), delivered_ms=(0.0, 0.0), reply=0.0, pay=0.0, read=0.0,
)  # fmt: skip
"""Everything is delivered at once and nobody answers: for benches and exact tests."""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one message. Seconds are law time, ms machine time; None: does not happen.

    `luck` feeds the choices inside a reply (wording, amount, day); `promise_kept` says whether the
    person pays on the promised day.
    """

    outcome: str
    code: int | None
    sent_ms: float
    final_ms: float
    final_law_seconds: float | None
    intent: str | None
    reply_seconds: float
    pays: bool
    pay_seconds: float
    pay_fraction: float
    promise_kept: bool
    luck: int
    read_seconds: float | None = None


def check(profile: Profile) -> Profile:
    """Return the profile; raise `ProfileError` naming the field that makes no sense."""
    for name in _SHARES:
        if not 0 <= getattr(profile, name) <= 1:
            msg = f"{name} must be between 0 and 1"
            raise ProfileError(msg)
    for name in _RANGES:
        low, high = getattr(profile, name)
        if not 0 <= low <= high:
            msg = f"{name} must be a range [low, high] of numbers from 0"
            raise ProfileError(msg)
    for name in ("intents", "undelivered_codes"):
        weights = getattr(profile, name)
        if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
            msg = f"{name} must be weights from 0 with a positive sum"
            raise ProfileError(msg)
    _check_names(profile)
    return profile


def _check_names(profile: Profile) -> None:
    if unknown := set(profile.intents) - set(INTENTS):
        msg = f"intents: unknown {sorted(unknown)}; known are {', '.join(INTENTS)}"
        raise ProfileError(msg)
    if not all(code.isdigit() for code in profile.undelivered_codes):
        msg = "undelivered_codes must be keyed by provider error codes"
        raise ProfileError(msg)


def plan(profile: Profile, seed: str, recipient: str, nth: int) -> Plan:
    """Decide what becomes of the `nth` message (from 1) to `recipient`."""
    draw = _draws(f"message|{seed}|{recipient}|{nth}")
    outcome, code = _fate(profile, _draws(f"person|{seed}|{recipient}"), draw)
    slow = outcome == "delivered" and draw[1] < profile.slow
    sent_ms = _between(profile.sent_ms, draw[2])
    answers = outcome == "delivered" and draw[4] < profile.reply
    pays = outcome == "delivered" and draw[5] < profile.pay
    luck = int(draw[7] * 2**52)
    looks = _draws(f"look|{seed}|{recipient}|{nth}") if profile.read else (1.0, 0.0)
    reads = outcome == "delivered" and looks[0] < profile.read
    return Plan(
        outcome=outcome,
        code=code,
        sent_ms=sent_ms,
        final_ms=_between(profile.delivered_ms, draw[3]),
        final_law_seconds=_between(profile.slow_seconds, draw[3]) if slow else None,
        intent=_weighted(profile.intents, draw[4] / profile.reply) if answers else None,
        reply_seconds=_between(profile.reply_seconds, draw[6]),
        pays=pays,
        pay_seconds=_between(profile.pay_seconds, draw[7]),
        pay_fraction=0.5 if pays and draw[5] / profile.pay < profile.pay_in_part else 1.0,
        promise_kept=draw[7] < profile.promise_kept,
        luck=luck,
        read_seconds=_between(profile.read_seconds, looks[1]) if reads else None,
    )


def speaks_spanish(profile: Profile, seed: str, recipient: str) -> bool:
    """Say whether this (US) person writes Spanish."""
    return _draws(f"person|{seed}|{recipient}")[1] < profile.spanish_share


def _fate(
    profile: Profile, person: tuple[float, ...], draw: tuple[float, ...]
) -> tuple[str, int | None]:
    if person[0] < profile.unreachable_numbers:
        return "undelivered", 30005
    if person[0] < profile.unreachable_numbers + profile.landlines:
        return "undelivered", 30006
    if draw[0] < profile.undelivered:
        return "undelivered", int(
            _weighted(profile.undelivered_codes, draw[0] / profile.undelivered)
        )
    if draw[0] < profile.undelivered + profile.silent:
        return "silent", None
    return "delivered", None


def _draws(text: str) -> tuple[float, ...]:
    return tuple([n * UNIT for n in UNITS.unpack(blake2b(text.encode()).digest())])


def _between(bounds: tuple[float, float], draw: float) -> float:
    """Return a value of the range, small ones likelier than large ones (squared draw)."""
    low, high = bounds
    return low + (high - low) * draw * draw


def _weighted(weights: dict[str, float], draw: float) -> str:
    point = draw * sum(weights.values())
    for name, weight in weights.items():
        point -= weight
        if point < 0:
            return name
    return next(reversed(weights))
