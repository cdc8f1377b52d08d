"""What the sandbox's relay refuses, as mail programs would not follow it."""

import pytest

from deploy.sandbox.smtp_rules import Refusal, judge

SENDER, DEBTOR = "loja@example.com", "ana@example.net"
MAIL = (
    f"From: {SENDER}\r\nTo: {DEBTOR}\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <1@example.com>\r\nSubject: x\r\nList-Unsubscribe: {}\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nOi\r\n"
)


def test_links_are_taken_as_links() -> None:
    raw = MAIL.format("<https://mail.example/u/1>,\r\n <mailto:u-1@example.com>").encode()
    message = judge(raw, recipient=DEBTOR, senders=(SENDER,), key=None)
    assert "https://mail.example/u/1" in message["List-Unsubscribe"]


@pytest.mark.parametrize("ways", ["=?utf-8?q?=3Chttps=3A//mail=2Eexample/u/1=3E?=", "<mailto:a@b>"])
def test_what_no_program_can_follow_is_refused(ways: str) -> None:
    with pytest.raises(Refusal):
        judge(MAIL.format(ways).encode(), recipient=DEBTOR, senders=(SENDER,), key=None)
