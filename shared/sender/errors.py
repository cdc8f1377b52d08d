"""The closed list of send errors: what went wrong, whether to retry, and whose fault it is.

In: a provider adapter maps every foreign answer onto one `SendError`. Out: `deliver` and the facts
read `retryable`, `spends_attempt`, `slows` and `fault`; nothing else in the runtime looks at
vendor codes. Every error here means *certain non-acceptance*; what is not certain is `Unknown`
(see `shared.sender.provider`) and never carries a retry.
"""

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """Whose fault a failed send is."""

    OURS = "ours"
    PROVIDER = "provider"
    RECIPIENT = "recipient"


class Slows(StrEnum):
    """What an error slows down: nothing, the sending number, or the whole account."""

    NOTHING = "nothing"
    NUMBER = "number"
    ACCOUNT = "account"


class ErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of error means for the contact, the account and the address."""

    retryable: bool
    fault: Fault
    spends_attempt: bool = True
    slows: Slows = Slows.NOTHING
    trips_breaker: bool = False
    suppress_address: bool = False


class ErrorKind(StrEnum):
    """Every way in which a provider call can certainly not have been accepted."""

    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    NUMBER_THROTTLED = "number_throttled"
    RECIPIENT_THROTTLED = "recipient_throttled"
    PROVIDER_BUSY = "provider_busy"
    BAD_CREDENTIALS = "bad_credentials"
    ACCOUNT_SETTINGS = "account_settings"
    MALFORMED_REQUEST = "malformed_request"
    CONTENT_REFUSED = "content_refused"
    RECIPIENT_INVALID = "recipient_invalid"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    RECIPIENT_UNREACHABLE = "recipient_unreachable"
    NO_FUNDS = "no_funds"
    POLICY_REFUSED = "policy_refused"
    REJECTED = "rejected"
    NOT_STARTED = "not_started"
    RENDER_FAILED = "render_failed"
    TASK_UNREADABLE = "task_unreadable"


ERRORS: dict[ErrorKind, ErrorRow] = {
    ErrorKind.UNREACHABLE: ErrorRow(retryable=True, fault=Fault.PROVIDER, trips_breaker=True),
    ErrorKind.THROTTLED: ErrorRow(
        retryable=True, fault=Fault.PROVIDER, spends_attempt=False, slows=Slows.ACCOUNT
    ),
    ErrorKind.NUMBER_THROTTLED: ErrorRow(
        retryable=True, fault=Fault.PROVIDER, spends_attempt=False, slows=Slows.NUMBER
    ),
    # Too much for one person, whoever else is waiting: this contact alone comes later.
    ErrorKind.RECIPIENT_THROTTLED: ErrorRow(
        retryable=True, fault=Fault.PROVIDER, spends_attempt=False
    ),
    ErrorKind.PROVIDER_BUSY: ErrorRow(retryable=True, fault=Fault.PROVIDER, trips_breaker=True),
    # The account is at fault, not the contact: it waits until somebody has put the account right.
    ErrorKind.BAD_CREDENTIALS: ErrorRow(
        retryable=True, fault=Fault.OURS, spends_attempt=False, trips_breaker=True
    ),
    ErrorKind.NO_FUNDS: ErrorRow(
        retryable=True, fault=Fault.OURS, spends_attempt=False, trips_breaker=True
    ),
    ErrorKind.ACCOUNT_SETTINGS: ErrorRow(retryable=False, fault=Fault.OURS),
    ErrorKind.MALFORMED_REQUEST: ErrorRow(retryable=False, fault=Fault.OURS),
    ErrorKind.CONTENT_REFUSED: ErrorRow(retryable=False, fault=Fault.OURS),
    ErrorKind.POLICY_REFUSED: ErrorRow(retryable=False, fault=Fault.OURS),
    ErrorKind.RECIPIENT_INVALID: ErrorRow(
        retryable=False, fault=Fault.RECIPIENT, suppress_address=True
    ),
    ErrorKind.RECIPIENT_OPTED_OUT: ErrorRow(
        retryable=False, fault=Fault.RECIPIENT, suppress_address=True
    ),
    ErrorKind.RECIPIENT_UNREACHABLE: ErrorRow(retryable=False, fault=Fault.RECIPIENT),
    ErrorKind.REJECTED: ErrorRow(retryable=False, fault=Fault.PROVIDER),
    # Claimed, but the call was not begun within its second: certain, and nobody was asked.
    ErrorKind.NOT_STARTED: ErrorRow(retryable=True, fault=Fault.OURS, spends_attempt=False),
    ErrorKind.RENDER_FAILED: ErrorRow(retryable=False, fault=Fault.OURS),
    ErrorKind.TASK_UNREADABLE: ErrorRow(retryable=False, fault=Fault.OURS),
}


class SendError(msgspec.Struct, frozen=True, kw_only=True):
    """One refused call: its kind, the provider's own code, and how long the provider asks for.

    `retry_after_seconds` is what the provider said (Retry-After); None when it said nothing.
    """

    kind: ErrorKind
    code: str | None = None
    retry_after_seconds: float | None = None

    @property
    def row(self) -> ErrorRow:
        """What this kind of error means."""
        return ERRORS[self.kind]


class RenderError(ValueError):
    """The template cannot be filled from the task: a permanent failure, and the fault is ours.

    The message names the placeholder, never a value. `kind` is what the contact fails with.
    """

    kind = ErrorKind.RENDER_FAILED


class PolicyRefusedError(RenderError):
    """This channel does not carry such a message, e.g. another content class."""

    kind = ErrorKind.POLICY_REFUSED


class CredentialError(ValueError):
    """An account's credential reference cannot be resolved; the message names the reference."""
