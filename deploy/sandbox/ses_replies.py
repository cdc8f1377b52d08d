"""What people answer to a mail, as SES receives it: a mail, inside a notification.

In: a mail and the words of an answer. Out: the record that a receipt rule publishes, with the raw
mail in it. The answer goes where the mail asked (Reply-To), quotes it as mail programs do, and says
which mail it answers by SES's own Message-ID.
"""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from deploy.sandbox import messages
from deploy.sandbox.messages import Message
from deploy.sandbox.ses_records import Json, instant
from deploy.sandbox.ses_store import Account, Mail, new_message_id

PASSED = {"status": "PASS"}


def received(about: Mail, text: str, account: Account, message: Message) -> Json:
    """Return the record of an answer; `message` is the answer as the sandbox keeps it."""
    raw = _answer(about, text, message)
    content = raw.as_bytes().decode()
    return {
        "notificationType": "Received",
        "mail": {
            "timestamp": instant(message.created),
            "source": message.from_,
            "messageId": message.sid,
            "destination": [message.to],
            "headersTruncated": False,
            "headers": [{"name": name, "value": str(value)} for name, value in raw.items()],
            "commonHeaders": {
                "returnPath": message.from_,
                "from": [message.from_],
                "to": [message.to],
                "subject": str(raw["Subject"]),
            },
        },
        "receipt": {
            "timestamp": instant(message.created),
            "processingTimeMillis": 100,
            "recipients": [message.to],
            "spamVerdict": PASSED,
            "virusVerdict": PASSED,
            "spfVerdict": PASSED,
            "dkimVerdict": PASSED,
            "dmarcVerdict": PASSED,
            "action": {"type": "SNS", "topicArn": account.topic_arn, "encoding": "UTF8"},
        },
        "content": content,
    }


def answered_to(about: Mail) -> str:
    """Return the address that an answer goes to."""
    named = {name.lower(): value for name, value in about.headers}
    return parseaddr(named.get("reply-to") or named.get("from", about.from_))[1]


def answer(about: Mail, text: str, created: datetime) -> Message:
    """Return an answer as a message of the sandbox."""
    return messages.answer(
        about, text, sid=new_message_id(), created=created, to=answered_to(about)
    )


def _answer(about: Mail, text: str, message: Message) -> EmailMessage:
    raw = EmailMessage(policy=SMTP)
    raw["From"] = message.from_
    raw["To"] = message.to
    raw["Subject"] = f"Re: {about.subject}"
    raw["Date"] = format_datetime(message.created)
    raw["Message-ID"] = f"<{message.sid}@mail.example.net>"
    raw["In-Reply-To"] = raw["References"] = f"<{about.sid}@email.amazonses.com>"
    quoted = "\n".join([f"> {line}" for line in about.body.splitlines()])
    said = f"On {about.created:%d %b %Y}, {about.from_} wrote:"
    raw.set_content(f"{text}\n\n{said}\n{quoted}\n", cte="quoted-printable")
    return raw
