"""Refusals in SMTP's words, as errors of the closed list."""

import pytest

from services.email_sender.providers.smtp.codes import Stage, enhanced_code, refusal
from services.email_sender.statuses import kind_of_status
from shared.sender.errors import ErrorKind


@pytest.mark.parametrize(
    ("stage", "code", "text", "kind"),
    [
        (Stage.RECIPIENT, 550, "5.1.1 <ana@example.com>: unknown", ErrorKind.RECIPIENT_INVALID),
        (Stage.RECIPIENT, 550, "5.1.10 null MX", ErrorKind.RECIPIENT_INVALID),
        (Stage.RECIPIENT, 550, "No such user", ErrorKind.RECIPIENT_UNREACHABLE),
        (Stage.RECIPIENT, 556, "null MX", ErrorKind.RECIPIENT_INVALID),
        (Stage.RECIPIENT, 552, "5.2.2 mailbox full", ErrorKind.RECIPIENT_UNREACHABLE),
        (Stage.RECIPIENT, 550, "5.2.1 disabled", ErrorKind.RECIPIENT_UNREACHABLE),
        (Stage.RECIPIENT, 550, "5.7.1 relaying denied", ErrorKind.POLICY_REFUSED),
        (Stage.RECIPIENT, 554, "blocked", ErrorKind.POLICY_REFUSED),
        (Stage.RECIPIENT, 450, "4.2.0 greylisted", ErrorKind.RECIPIENT_THROTTLED),
        (Stage.RECIPIENT, 451, "4.7.1 greylisted", ErrorKind.RECIPIENT_THROTTLED),
        (Stage.RECIPIENT, 450, "try later", ErrorKind.RECIPIENT_THROTTLED),
        (Stage.RECIPIENT, 452, "4.2.2 full", ErrorKind.RECIPIENT_THROTTLED),
        (Stage.RECIPIENT, 452, "4.3.1 no space", ErrorKind.PROVIDER_BUSY),
        (Stage.RECIPIENT, 451, "4.7.28 too fast", ErrorKind.THROTTLED),
        (Stage.RECIPIENT, 421, "4.7.0 too fast", ErrorKind.THROTTLED),
        (Stage.RECIPIENT, 421, "closing", ErrorKind.PROVIDER_BUSY),
        (Stage.SENDER, 553, "not yours", ErrorKind.ACCOUNT_SETTINGS),
        (Stage.SENDER, 550, "5.1.8 bad sender", ErrorKind.ACCOUNT_SETTINGS),
        (Stage.SENDER, 550, "5.1.1 unknown", ErrorKind.ACCOUNT_SETTINGS),
        (Stage.SENDER, 550, "5.7.1 not authorized", ErrorKind.ACCOUNT_SETTINGS),
        (Stage.SENDER, 451, "4.7.0 too many", ErrorKind.THROTTLED),
        (Stage.SENDER, 530, "5.7.0 authenticate first", ErrorKind.BAD_CREDENTIALS),
        (Stage.AUTH, 535, "5.7.8 bad", ErrorKind.BAD_CREDENTIALS),
        (Stage.AUTH, 454, "4.7.0 try later", ErrorKind.PROVIDER_BUSY),
        (Stage.CONNECT, 554, "no service", ErrorKind.UNREACHABLE),
        (Stage.CONNECT, 421, "busy", ErrorKind.PROVIDER_BUSY),
        (Stage.DATA, 554, "spam", ErrorKind.CONTENT_REFUSED),
        (Stage.DATA, 550, "5.7.26 unauthenticated", ErrorKind.ACCOUNT_SETTINGS),
        (Stage.DATA, 550, "5.7.515 not aligned", ErrorKind.ACCOUNT_SETTINGS),
        (Stage.DATA, 552, "5.3.4 too big", ErrorKind.CONTENT_REFUSED),
        (Stage.DATA, 550, "5.6.0 bad MIME", ErrorKind.CONTENT_REFUSED),
        (Stage.DATA, 451, "4.3.0 error", ErrorKind.PROVIDER_BUSY),
        (Stage.DATA, 502, "no", ErrorKind.MALFORMED_REQUEST),
        (Stage.DATA, 599, "what", ErrorKind.REJECTED),
        (Stage.CONNECT, -1, "garbled", ErrorKind.PROVIDER_BUSY),
    ],
)
def test_refusals(stage: Stage, code: int, text: str, kind: ErrorKind) -> None:
    error = refusal(stage, code, text)
    assert error.kind is kind
    assert "@" not in (error.code or "")


def test_only_codes_about_the_address_condemn_it() -> None:
    condemning = {
        (code, text)
        for code in (421, 450, 451, 452, 521, 550, 551, 552, 553, 554)
        for text in ("", "5.0.0", "5.2.1 x", "5.7.1 x", "5.4.4 x", "4.1.1 x", "rejected")
        if refusal(Stage.RECIPIENT, code, text).row.suppress_address
    }
    assert condemning == set()


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "5.1.1 x", "5.1.1"),
        (550, "05.1.1", None),
        (550, "4.1.1 another class", None),
        (550, "x 5.1.1", None),
        (450, "4.7.001", "4.7.1"),
        (550, "5.1.1234", None),
    ],
)
def test_enhanced_codes(code: int, text: str, expected: str | None) -> None:
    assert enhanced_code(code, text) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("5.1.1", ErrorKind.RECIPIENT_INVALID),
        ("5.0.0", ErrorKind.REJECTED),
        ("5.4.7", ErrorKind.RECIPIENT_UNREACHABLE),
        ("4.4.7", ErrorKind.RECIPIENT_UNREACHABLE),
        ("5.7.1", ErrorKind.POLICY_REFUSED),
        ("5.99.1", ErrorKind.REJECTED),
    ],
)
def test_statuses_of_reports(status: str, kind: ErrorKind) -> None:
    assert kind_of_status(status) is kind
