"""Meta's error codes onto the closed list: of the answer to a send, and of a failed status.

In: a code. Out: a kind, and how long to wait where Meta tells it in its pages and not in its
answers. A code that is not here is `REJECTED`: certain, and not tried again.
Codes: https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from shared.sender.errors import ErrorKind

PERMISSION_FIRST, PERMISSION_LAST = 200, 299  # a range of missing permissions

CODES: dict[ErrorKind, tuple[int, ...]] = {
    ErrorKind.RECIPIENT_OPTED_OUT: (131050,),
    ErrorKind.RECIPIENT_INVALID: (131021,),
    # 131026 says that the person cannot be reached on WhatsApp (no account, old app, terms not
    # accepted); the number may be good for other channels, so nothing is suppressed.
    # 131049 and 130472 are Meta's choice not to deliver to this person now.
    ErrorKind.RECIPIENT_UNREACHABLE: (131026, 131049, 130472, 131062, 137000),
    ErrorKind.RECIPIENT_THROTTLED: (131056,),
    ErrorKind.NUMBER_THROTTLED: (130429, 131048),
    ErrorKind.THROTTLED: (4, 80007, 80008, 131064, 133016),
    ErrorKind.PROVIDER_BUSY: (1, 2, 131000, 131016, 131057, 135000),
    # A locked or restricted account is nothing that this contact did: it waits until somebody
    # has put the account right, and no second one is tried meanwhile.
    ErrorKind.BAD_CREDENTIALS: (0, 3, 10, 190, 368, 131005, 131031),
    ErrorKind.NO_FUNDS: (131042,),
    ErrorKind.ACCOUNT_SETTINGS: (
        33, 131030, 131037, 131045, 133000, 133004, 133005, 133006, 133008, 133009, 133010, 133015,
    ),
    ErrorKind.CONTENT_REFUSED: (
        131052, 131053, 131063, 132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016,
        132018, 132068, 132069,
    ),
    ErrorKind.POLICY_REFUSED: (130497, 131047),
    ErrorKind.MALFORMED_REQUEST: (100, 131008, 131009, 131051),
}  # fmt: skip
KIND_OF_CODE = {code: kind for kind, codes in CODES.items() for code in codes}

# Without a body that we can read, these statuses alone say that nothing was taken.
KIND_OF_STATUS = {
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    429: ErrorKind.THROTTLED,
}

# Meta answers some refusals with 500; the words in the body make these certain all the same.
CERTAIN_AT_5XX = frozenset({3, 131045, 131057, 133000, 133004})

OBJECT_MISSING = 33  # subcode: no number of this id, or the token does not reach it

WAIT_SECONDS: dict[int, float] = {
    131056: 6.0,  # one message in six seconds to the same person
    131048: 900.0,  # too many blocked or reported it: quality needs time, not another try
    131064: 3_600.0,  # the messaging limit of the business: room comes back during the day
}


def kind_of(code: int) -> ErrorKind:
    """Return what a code means."""
    if PERMISSION_FIRST <= code <= PERMISSION_LAST:
        return ErrorKind.BAD_CREDENTIALS
    return KIND_OF_CODE.get(code, ErrorKind.REJECTED)
