"""Infobip's words in ours: what a status or an error of its registry means.

In: the names that answers and reports carry. Out: kinds of error and states. Statuses say how far a
message came, errors why it came no further; a name that is not listed falls back to its group.
Registry: https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes.
"""

from shared.events.states import ContactState
from shared.sender.errors import ErrorKind

# Names of statuses (REJECTED_…, EXPIRED_…) and of errors (EC_…): of the answer to a send, and of a
# negative report.
NAMES: dict[ErrorKind, tuple[str, ...]] = {
    ErrorKind.RECIPIENT_OPTED_OUT: (
        "REJECTED_DND", "REJECTED_DESTINATION_BLOCKLISTED", "EC_SC_BLOCKED_BY_END_USER",
        "EC_CONTENT_BLOCKED",
    ),
    ErrorKind.RECIPIENT_INVALID: (
        "REJECTED_PREFIX_MISSING", "REJECTED_DESTINATION", "MISSING_TO", "EC_UNKNOWN_SUBSCRIBER",
        "EC_TELESERVICE_NOT_PROVISIONED", "EC_INVALID_REQUEST_DESTINATION",
        "EC_DEST_ADDRESS_UNABLE_TO_RECEIVE_SMS",
    ),
    # The number may be right and the phone off, full, abroad or out of credit: not for ever.
    ErrorKind.RECIPIENT_UNREACHABLE: (
        "UNDELIVERABLE_REJECTED_OPERATOR", "UNDELIVERABLE_NOT_DELIVERED", "UNDELIVERABLE_NOT_SENT",
        "EXPIRED_EXPIRED", "EC_ABSENT_SUBSCRIBER", "EC_ABSENT_SUBSCRIBER_SM",
        "EC_UNIDENTIFIED_SUBSCRIBER", "EC_ROAMING_NOT_ALLOWED", "EC_CALL_BARRED",
        "EC_SUBSCRIBER_BUSY_FOR_MT_SMS", "EC_SM_DELIVERY_FAILURE", "EC_MESSAGE_WAITING_LIST_FULL",
        "EC_SM_DF_MEMORYCAPACITYEXCEEDED", "EC_USER_OUT_OF_CREDIT",
        "EC_INVALID_DESTINATION_ADDRESS",
    ),
    # At most 20 different and 6 equal messages an hour to one number.
    ErrorKind.RECIPIENT_THROTTLED: ("REJECTED_FLOODING_FILTER",),
    ErrorKind.NUMBER_THROTTLED: ("EC_LIMIT_REACHED", "EC_QUOTA_REACHED"),
    ErrorKind.PROVIDER_BUSY: ("REJECTED_SYSTEM_ERROR",),
    ErrorKind.NO_FUNDS: ("REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_PREPAID_PACKAGE_EXPIRED"),
    ErrorKind.ACCOUNT_SETTINGS: (
        "REJECTED_NETWORK", "REJECTED_SOURCE", "REJECTED_SENDER",
        "REJECTED_DESTINATION_NOT_REGISTERED", "REJECTED_ROUTE_NOT_AVAILABLE",
        "EC_INVALID_SOURCE_ADDRESS", "EC_ACCOUNT_ACCESS_DENIED", "EC_CAMPAIGNID_NOT_PROVISIONED",
    ),
    ErrorKind.CONTENT_REFUSED: (
        "REJECTED_MESSAGE_TOO_LONG", "EC_MSG_TEXT_TOO_LONG", "EC_REJECTED_SPAM_BY_OPERATOR",
    ),
    ErrorKind.POLICY_REFUSED: ("SIGNALS_BLOCKED", "EC_SIGNALS_BLOCKED"),
    ErrorKind.MALFORMED_REQUEST: ("REJECTED_INVALID_UDH", "EC_INVALID_REQUEST_TYPE"),
}  # fmt: skip
KIND_OF_NAME = {name: kind for kind, names in NAMES.items() for name in names}

# Two EC_… groups speak of the phone and of the way to it: the contact may succeed elsewhere.
KIND_OF_GROUP = {
    "HANDSET_ERRORS": ErrorKind.RECIPIENT_UNREACHABLE,
    "OPERATOR_ERRORS": ErrorKind.RECIPIENT_UNREACHABLE,
}

KIND_OF_HTTP_STATUS = {
    400: ErrorKind.MALFORMED_REQUEST,
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    404: ErrorKind.ACCOUNT_SETTINGS,
    429: ErrorKind.THROTTLED,
}
SPEAKS_FOR_ITSELF = frozenset({401, 403, 429})  # these say no without a body that we can read

TAKEN_GROUPS = frozenset({"ACCEPTED", "PENDING", "DELIVERED"})
NOT_TAKEN_GROUPS = frozenset({"UNDELIVERABLE", "EXPIRED", "REJECTED"})
DUPLICATE = "REJECTED_DUPLICATE_MESSAGE_ID"  # the very message, by our own name for it, is there

STATE_OF_NAME: dict[str, ContactState | None] = {
    "PENDING_ACCEPTED": ContactState.ACCEPTED,
    "DELIVERED_TO_OPERATOR": ContactState.SENT,  # the operator has it, the person not yet
    "EXPIRED_DLR_UNKNOWN": None,  # no report ever came: that proves nothing
}
STATE_OF_GROUP = {
    "ACCEPTED": ContactState.ACCEPTED,
    "PENDING": ContactState.SENT,
    "DELIVERED": ContactState.DELIVERED,
    "UNDELIVERABLE": ContactState.UNDELIVERED,
    "EXPIRED": ContactState.UNDELIVERED,
    "REJECTED": ContactState.UNDELIVERED,
}


def state_of(name: str, group: str) -> ContactState | None:
    """Return the state that a status reports; None for words that move nothing."""
    return STATE_OF_NAME.get(name, STATE_OF_GROUP.get(group))


def kind_of(name: str, group: str = "") -> ErrorKind:
    """Return the kind of a status or error; a name that is not listed is its group's."""
    return KIND_OF_NAME.get(name, KIND_OF_GROUP.get(group, ErrorKind.REJECTED))
