"""Scripted faults: which message meets which trouble.

In: rules posted by tests and fault campaigns. Out: for each message the list of faults that apply,
first match per kind family wins. Rules count what they matched, so "the first 3", "every 10th" and
"twice" are exact; probabilities are drawn from the seed, so a campaign can be repeated.
"""

from hashlib import blake2b

import msgspec

RULES_MAX = 1_000

# Troubles of the call itself: at most one per message.
CALL_KINDS = (
    "throttle_429",
    "error_500_before",
    "error_500_after_acceptance",
    "timeout_before",
    "timeout_after_acceptance",
    "reset_connection",
    "garbled_answer",
    "refuse",
)
# Troubles of the receipts of an accepted message: any number together.
RECEIPT_KINDS = ("duplicate_receipt", "reorder_receipts", "lose_receipts", "late_receipt")


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages a rule looks at; every condition given must hold."""

    recipient: str | None = None
    every: int | None = None
    first: int | None = None
    probability: float | None = None


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scripted trouble.

    `kind` is one of CALL_KINDS or RECEIPT_KINDS; `retry_after` (s) goes with throttle_429;
    `seconds` (machine time) with the timeouts and late_receipt; `law_seconds` with late_receipt;
    `code` with refuse (one of the provider's; None: a usual one); `accepted` says for
    reset_connection and garbled_answer whether the message was taken all the same; `shape` of a
    garbled answer is html, truncated, empty or wrong_json; `times` bounds how often it applies.
    """

    kind: str
    match: Match = Match()
    times: int | None = None
    retry_after: float = 1.0
    seconds: float = 0.0
    law_seconds: float | None = None
    code: int | str | None = None
    accepted: bool | None = None
    shape: str = "truncated"


class FaultError(ValueError):
    """A fault that cannot be scripted; the message names the field."""


class _Rule:
    __slots__ = ("applied", "fault", "seen")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.applied = 0

    def hit(self, seed: str, recipient: str) -> bool:
        match, fault = self.fault.match, self.fault
        if fault.times is not None and self.applied >= fault.times:
            return False
        if match.recipient is not None and match.recipient != recipient:
            return False
        self.seen += 1
        if match.first is not None and self.seen > match.first:
            return False
        if match.every is not None and self.seen % match.every:
            return False
        if match.probability is not None and _draw(seed, recipient, self.seen) >= match.probability:
            return False
        self.applied += 1
        return True


class FaultScript:
    """The rules in force, in the order they were posted."""

    def __init__(self, seed: str) -> None:
        """Draw probabilities from `seed`."""
        self._seed = seed
        self._rules: list[_Rule] = []

    def add(self, faults: list[Fault]) -> int:
        """Put `faults` in force behind the others; raises `FaultError`. Returns how many are."""
        for fault in faults:
            _check(fault)
        if len(self._rules) + len(faults) > RULES_MAX:
            msg = f"more than {RULES_MAX} rules; DELETE /sandbox/faults first"
            raise FaultError(msg)
        self._rules += [_Rule(fault) for fault in faults]
        return len(self._rules)

    def clear(self) -> None:
        """Drop every rule."""
        self._rules = []

    def listing(self) -> list[dict[str, object]]:
        """Return each rule with how often it was looked at and applied."""
        return [
            {"fault": rule.fault, "seen": rule.seen, "applied": rule.applied}
            for rule in self._rules
        ]

    def meet(self, recipient: str) -> tuple[Fault, ...]:
        """Return the faults that a message to `recipient` meets now; counts them."""
        if not self._rules:
            return ()
        met: list[Fault] = []
        call_met = False
        for rule in self._rules:
            is_call = rule.fault.kind in CALL_KINDS
            if is_call and call_met:
                continue
            if rule.hit(self._seed, recipient):
                met.append(rule.fault)
                call_met = call_met or is_call
        return tuple(met)


def _check(fault: Fault) -> None:
    if fault.kind not in CALL_KINDS + RECEIPT_KINDS:
        msg = f"kind must be one of {', '.join(CALL_KINDS + RECEIPT_KINDS)}"
        raise FaultError(msg)
    match = fault.match
    for name, number in (("every", match.every), ("first", match.first), ("times", fault.times)):
        if number is not None and number < 1:
            msg = f"{name} must be at least 1"
            raise FaultError(msg)
    if match.probability is not None and not 0 <= match.probability <= 1:
        msg = "match.probability must be between 0 and 1"
        raise FaultError(msg)
    if min(fault.seconds, fault.retry_after, fault.law_seconds or 0) < 0:
        msg = "seconds, retry_after and law_seconds must not be negative"
        raise FaultError(msg)
    if fault.shape not in {"html", "truncated", "empty", "wrong_json"}:
        msg = "shape must be html, truncated, empty or wrong_json"
        raise FaultError(msg)


def _draw(seed: str, recipient: str, seen: int) -> float:
    digest = blake2b(f"fault|{seed}|{recipient}|{seen}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
