"""Twilio's codes and words, placed on the runtime's closed lists.

In: what Twilio's pages list (https://www.twilio.com/docs/api/errors). Out: kinds of errors by code
and by HTTP status, and contact states by status word.
"""

from shared.events.states import ContactState
from shared.sender.errors import ErrorKind

# Vendor code -> kind of error: of the answer to a send, and of a negative status callback.
CODES: dict[ErrorKind, tuple[int, ...]] = {
    ErrorKind.RECIPIENT_OPTED_OUT: (21610, 63014, 63033),
    ErrorKind.RECIPIENT_INVALID: (
        21211, 21214, 21217, 21604, 21612, 21614, 30005, 30006, 63003, 63024,
    ),
    ErrorKind.RECIPIENT_UNREACHABLE: (30003, 30008, 30017, 30410, 63009, 63010, 63012),
    ErrorKind.THROTTLED: (14107, 20429, 63017, 63018, 63038),
    ErrorKind.NUMBER_THROTTLED: (21611, 30001, 30022, 30023, 30027),
    ErrorKind.PROVIDER_BUSY: (20500, 20503),
    ErrorKind.BAD_CREDENTIALS: (20003, 20005, 20006, 30002),
    ErrorKind.NO_FUNDS: (30026,),
    ErrorKind.ACCOUNT_SETTINGS: (
        20404, 21212, 21408, 21603, 21606, 21659, 21660, 21701, 21702, 21703, 21704, 21705, 30032,
        63001, 63007, 63008,
    ),
    ErrorKind.CONTENT_REFUSED: (
        21602, 21617, 21618, 21655, 21656, 30007, 63013, 63016, 63021, 63027, 63028, 63040, 63041,
    ),
    ErrorKind.POLICY_REFUSED: (30034, 30460, 30466, 30610, 30863, 30869),
    ErrorKind.MALFORMED_REQUEST: (20001, 21609, 21619, 21620, 21626),
}  # fmt: skip
KIND_OF_CODE = {code: kind for kind, codes in CODES.items() for code in codes}

# Without a body that we can read, these statuses alone say that nothing was taken.
KIND_OF_STATUS = {
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    429: ErrorKind.THROTTLED,
}

# Twilio's words for a message's way. Words not listed move nothing and are kept.
STATES: dict[str, ContactState] = {
    "queued": ContactState.ACCEPTED,
    "accepted": ContactState.ACCEPTED,
    "scheduled": ContactState.ACCEPTED,
    "sending": ContactState.SENT,
    "sent": ContactState.SENT,
    "delivered": ContactState.DELIVERED,
    "partially_delivered": ContactState.DELIVERED,
    "read": ContactState.READ,
    "undelivered": ContactState.UNDELIVERED,
    "failed": ContactState.UNDELIVERED,
    "canceled": ContactState.UNDELIVERED,
}
INBOUND_WORDS = frozenset({"received", "receiving"})
