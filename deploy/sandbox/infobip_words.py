"""Infobip's registry of statuses and errors, as far as the sandbox speaks of them.

In: names of statuses and errors, HTTP error codes, causes of the debtors' world. Out: the objects
and answers that Infobip sends for them.
"""

import msgspec

from deploy.sandbox.wire import Answer

GROUPS = {"PENDING": 1, "UNDELIVERABLE": 2, "DELIVERED": 3, "EXPIRED": 4, "REJECTED": 5}
ERROR_GROUPS = {"OK": 0, "HANDSET_ERRORS": 1, "USER_ERRORS": 2, "OPERATOR_ERRORS": 3}

# Name -> group and id of a status.
STATUSES = {
    "PENDING_WAITING_DELIVERY": ("PENDING", 3),
    "PENDING_ENROUTE": ("PENDING", 7),
    "PENDING_ACCEPTED": ("PENDING", 26),
    "UNDELIVERABLE_REJECTED_OPERATOR": ("UNDELIVERABLE", 4),
    "UNDELIVERABLE_NOT_DELIVERED": ("UNDELIVERABLE", 9),
    "UNDELIVERABLE_NOT_SENT": ("UNDELIVERABLE", 31),
    "DELIVERED_TO_OPERATOR": ("DELIVERED", 2),
    "DELIVERED_TO_HANDSET": ("DELIVERED", 5),
    "EXPIRED_EXPIRED": ("EXPIRED", 15),
    "EXPIRED_DLR_UNKNOWN": ("EXPIRED", 29),
    "REJECTED_NETWORK": ("REJECTED", 6),
    "REJECTED_PREFIX_MISSING": ("REJECTED", 8),
    "REJECTED_DND": ("REJECTED", 10),
    "REJECTED_SOURCE": ("REJECTED", 11),
    "REJECTED_NOT_ENOUGH_CREDITS": ("REJECTED", 12),
    "REJECTED_SENDER": ("REJECTED", 13),
    "REJECTED_DESTINATION_BLOCKLISTED": ("REJECTED", 14),
    "REJECTED_PREPAID_PACKAGE_EXPIRED": ("REJECTED", 17),
    "REJECTED_DESTINATION_NOT_REGISTERED": ("REJECTED", 18),
    "REJECTED_ROUTE_NOT_AVAILABLE": ("REJECTED", 19),
    "REJECTED_FLOODING_FILTER": ("REJECTED", 20),
    "REJECTED_SYSTEM_ERROR": ("REJECTED", 21),
    "REJECTED_DUPLICATE_MESSAGE_ID": ("REJECTED", 23),
    "REJECTED_INVALID_UDH": ("REJECTED", 24),
    "REJECTED_MESSAGE_TOO_LONG": ("REJECTED", 25),
    "MISSING_TO": ("REJECTED", 51),
    "REJECTED_DESTINATION": ("REJECTED", 52),
    "SIGNALS_BLOCKED": ("REJECTED", 87),
}

# Name -> group, id, whether a retry can ever succeed.
ERRORS = {
    "NO_ERROR": ("OK", 0, False),
    "EC_UNKNOWN_SUBSCRIBER": ("HANDSET_ERRORS", 1, True),
    "EC_UNIDENTIFIED_SUBSCRIBER": ("HANDSET_ERRORS", 5, False),
    "EC_ABSENT_SUBSCRIBER_SM": ("HANDSET_ERRORS", 6, False),
    "EC_ROAMING_NOT_ALLOWED": ("HANDSET_ERRORS", 8, False),
    "EC_TELESERVICE_NOT_PROVISIONED": ("HANDSET_ERRORS", 11, True),
    "EC_CALL_BARRED": ("HANDSET_ERRORS", 13, False),
    "EC_ABSENT_SUBSCRIBER": ("HANDSET_ERRORS", 27, False),
    "EC_SUBSCRIBER_BUSY_FOR_MT_SMS": ("HANDSET_ERRORS", 31, False),
    "EC_SM_DELIVERY_FAILURE": ("HANDSET_ERRORS", 32, False),
    "EC_MESSAGE_WAITING_LIST_FULL": ("HANDSET_ERRORS", 33, False),
    "EC_SM_DF_MEMORYCAPACITYEXCEEDED": ("HANDSET_ERRORS", 256, False),
    "EC_SC_BLOCKED_BY_END_USER": ("HANDSET_ERRORS", 573, True),
    "EC_USER_OUT_OF_CREDIT": ("HANDSET_ERRORS", 581, False),
    "EC_DEST_ADDRESS_UNABLE_TO_RECEIVE_SMS": ("HANDSET_ERRORS", 629, True),
    "EC_INVALID_REQUEST_TYPE": ("USER_ERRORS", 323, True),
    "EC_INVALID_DESTINATION_ADDRESS": ("USER_ERRORS", 351, False),
    "EC_INVALID_REQUEST_DESTINATION": ("USER_ERRORS", 352, True),
    "EC_MSG_TEXT_TOO_LONG": ("USER_ERRORS", 355, True),
    "EC_INVALID_SOURCE_ADDRESS": ("USER_ERRORS", 368, True),
    "EC_ACCOUNT_ACCESS_DENIED": ("USER_ERRORS", 433, True),
    "EC_LIMIT_REACHED": ("USER_ERRORS", 541, False),
    "EC_QUOTA_REACHED": ("USER_ERRORS", 542, False),
    "EC_CAMPAIGNID_NOT_PROVISIONED": ("USER_ERRORS", 572, True),
    "EC_CONTENT_BLOCKED": ("USER_ERRORS", 603, True),
    "EC_REJECTED_SPAM_BY_OPERATOR": ("USER_ERRORS", 607, True),
    "EC_SIGNALS_BLOCKED": ("USER_ERRORS", 608, False),
}

# Word of the debtors' world -> name of the status; cause -> name of the error (or of the status).
OF_WORD = {
    "queued": "PENDING_ACCEPTED",
    "sent": "PENDING_ENROUTE",
    "delivered": "DELIVERED_TO_HANDSET",
    "undelivered": "UNDELIVERABLE_NOT_DELIVERED",
}
OF_CAUSE = {
    30003: "EC_ABSENT_SUBSCRIBER",
    30005: "EC_UNKNOWN_SUBSCRIBER",
    30006: "EC_TELESERVICE_NOT_PROVISIONED",
    30036: "EXPIRED_EXPIRED",
}

PROBLEMS = {
    "E400": (400, "Request cannot be processed.", "Check the syntax, violations and adjust."),
    "E401": (401, "Request cannot be authenticated.", "Check your credentials."),
    "E403": (403, "Request is forbidden.", "Check your permissions."),
    "E404": (404, "Requested resource cannot be found.", "Check the path."),
    "E405": (405, "Method is not allowed.", "Check the method."),
    "E429": (429, "Too many requests.", "Send more slowly."),
    "E500": (500, "Something went wrong.", "Try again, or contact support."),
}

_encoder = msgspec.json.Encoder()


def status_object(name: str) -> dict[str, object]:
    """Return a status; a name that is not listed is a group of its own."""
    group, number = STATUSES.get(name, (name, 0))
    shown = name.replace("_", " ").capitalize()
    return {
        "groupId": GROUPS.get(group, 0),
        "groupName": group,
        "id": number,
        "name": name,
        "description": shown,
    }


def error_object(name: str) -> dict[str, object]:
    """Return an error; a name that is not listed is an operator's."""
    group, number, permanent = ERRORS.get(name, ("OPERATOR_ERRORS", 9_999, False))
    return {
        "groupId": ERROR_GROUPS[group],
        "groupName": group,
        "id": number,
        "name": name,
        "description": name.replace("_", " ").capitalize(),
        "permanent": permanent,
    }


def outcome(word: str, code: int | str | None) -> tuple[str, str]:
    """Return the names of status and error that tell `word` with `code` (a cause or a name)."""
    name = OF_CAUSE.get(code, str(code)) if isinstance(code, int) else code or "NO_ERROR"
    if name in STATUSES:
        return name, "NO_ERROR"
    return OF_WORD.get(word, word.upper()), name


def problem(
    code: str,
    violations: tuple[tuple[str, str], ...] = (),
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:
    """Return an error answer; `violations` are pairs of property and complaint."""
    status, description, action = PROBLEMS[code]
    body = {
        "errorCode": code,
        "description": description,
        "action": action,
        "violations": [{"property": name, "violation": said} for name, said in violations],
        "resources": [],
    }
    return Answer(status, _encoder.encode(body), headers)
