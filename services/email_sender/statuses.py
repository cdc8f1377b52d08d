"""Enhanced status codes (RFC 3463): what a permanent one says of a mail.

In: a status such as `5.1.1`, from a server's answer or from a delivery report. Out: a kind of the
closed error list. Only codes about the address itself condemn the address.
"""

from shared.sender.errors import ErrorKind

# Subject and detail of a status of class 5 -> kind, wherever it is said.
PERMANENT_KINDS: dict[ErrorKind, tuple[str, ...]] = {
    ErrorKind.RECIPIENT_INVALID: ("1.0", "1.1", "1.2", "1.3", "1.6", "1.10", "7.17"),
    ErrorKind.RECIPIENT_UNREACHABLE: ("2.0", "2.1", "2.2", "2.4"),
    ErrorKind.ACCOUNT_SETTINGS: (
        "1.7", "1.8", "7.15", "7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27",
        "7.29", "7.30", "7.509", "7.515",
    ),
    ErrorKind.CONTENT_REFUSED: ("2.3", "3.4"),
    ErrorKind.BAD_CREDENTIALS: ("7.8", "7.9", "7.11", "7.13"),
}  # fmt: skip
_PERMANENT = {code: kind for kind, codes in PERMANENT_KINDS.items() for code in codes}
_PERMANENT_SUBJECTS = {
    "3": ErrorKind.REJECTED,
    "4": ErrorKind.RECIPIENT_UNREACHABLE,
    "5": ErrorKind.MALFORMED_REQUEST,
    "6": ErrorKind.CONTENT_REFUSED,
    "7": ErrorKind.POLICY_REFUSED,
}


def kind_of_status(status: str) -> ErrorKind:
    """Return the kind of a permanent status in a delivery report, e.g. `5.1.1`."""
    detail = status.partition(".")[2]
    if not status.startswith("5"):
        return ErrorKind.RECIPIENT_UNREACHABLE
    return _PERMANENT.get(detail) or _PERMANENT_SUBJECTS.get(
        detail.partition(".")[0], ErrorKind.REJECTED
    )
