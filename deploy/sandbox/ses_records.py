"""The event records of SES, in the fields of its documentation.

In: a mail and what became of it. Out: the record as a configuration set publishes it. Times are law
time: the provider lives in the same simulated days as its debtors.
"""

import secrets
from datetime import datetime
from typing import Any

from deploy.sandbox.ses_store import Account, Mail

Json = dict[str, Any]
SOURCE_IP = "127.0.0.1"
AGENT = "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari"

# Cause of `behaviour` -> bounce type, subtype, enhanced status, diagnostic code.
BOUNCES: dict[int, tuple[str, str, str, str]] = {
    30003: ("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"),
    30005: ("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"),
    30006: ("Permanent", "NoEmail", "5.1.2", "smtp; 550 5.1.2 no such host"),
    30036: ("Transient", "CustomTimeoutExceeded", "4.4.7", "smtp; 554 4.4.7 delivery time expired"),
}


def cause(code: int | str | None) -> tuple[str, str, str, str]:
    """Return why a mail bounced; scripts may say it as SES does, e.g. `Permanent:General`."""
    if isinstance(code, str):
        kind, _, subtype = code.partition(":")
        return kind, subtype, "", ""
    return BOUNCES.get(code or 0, ("Undetermined", "Undetermined", "", ""))


def record(kind: str, mail: Mail, account: Account, detail: Json) -> Json:
    """Return the record of one event; `detail` is the object that goes with its type."""
    named = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}
    name = named.get(kind, kind[:1].lower() + kind[1:])
    return {"eventType": kind, "mail": _mail(mail, account), name: detail}


def _mail(mail: Mail, account: Account) -> Json:
    named = {name.lower(): value for name, value in mail.headers}
    return {
        "timestamp": instant(mail.created),
        "source": mail.from_,
        "sourceArn": f"arn:aws:ses:{account.region}:123456789012:identity/{mail.from_}",
        "sendingAccountId": "123456789012",
        "messageId": mail.sid,
        "destination": [mail.to],
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in mail.headers],
        "commonHeaders": {
            "from": [named.get("from", mail.from_)],
            "to": [named.get("to", mail.to)],
            "messageId": named.get("message-id", mail.sid),
            "subject": mail.subject,
        },
        "tags": {
            "ses:operation": ["SendEmail"],
            "ses:configuration-set": [mail.configuration_set or ""],
            "ses:source-ip": [SOURCE_IP],
            "ses:from-domain": [mail.from_.rpartition("@")[2]],
            "ses:caller-identity": ["regua"],
            **{name: [value] for name, value in mail.tags},
        },
    }


def delivery(mail: Mail, at: datetime) -> Json:
    """Return what goes with Delivery."""
    return {
        "timestamp": instant(at),
        "processingTimeMillis": max(0, int((at - mail.created).total_seconds() * 1_000)),
        "recipients": [mail.to],
        "smtpResponse": "250 2.6.0 Message received",
        "remoteMtaIp": SOURCE_IP,
        "reportingMTA": "mta.example.com",
    }


def bounce(mail: Mail, at: datetime, kind: str, subtype: str, status: str, code: str) -> Json:
    """Return what goes with Bounce."""
    recipient: Json = {"emailAddress": mail.to}
    if status:
        recipient |= {"action": "failed", "status": status, "diagnosticCode": code}
    return {
        "feedbackId": feedback_id(),
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [recipient],
        "timestamp": instant(at),
        "reportingMTA": "dsn; mta.example.com",
    }


def complaint(mail: Mail, at: datetime, feedback: str | None, subtype: str | None) -> Json:
    """Return what goes with Complaint."""
    told: Json = {
        "feedbackId": feedback_id(),
        "complaintSubType": subtype,
        "complainedRecipients": [{"emailAddress": mail.to}],
        "timestamp": instant(at),
        "arrivalDate": instant(at),
    }
    if feedback is not None:
        told |= {"userAgent": "Mailbox feedback loop", "complaintFeedbackType": feedback}
    return told


def delay(mail: Mail, at: datetime, kind: str) -> Json:
    """Return what goes with DeliveryDelay."""
    return {
        "timestamp": instant(at),
        "delayType": kind,
        "expirationTime": instant(at),
        "delayedRecipients": [
            {
                "emailAddress": mail.to,
                "status": "4.4.1",
                "diagnosticCode": "smtp; 421 4.4.1 unable to connect",
            }
        ],
    }


def opened(at: datetime, agent: str = AGENT) -> Json:
    """Return what goes with Open."""
    return {"timestamp": instant(at), "ipAddress": SOURCE_IP, "userAgent": agent}


def clicked(at: datetime) -> Json:
    """Return what goes with Click."""
    return opened(at) | {"link": "https://example.com/", "linkTags": None}


def unsubscribed(at: datetime) -> Json:
    """Return what goes with Subscription."""
    nothing = {"unsubscribeAll": False, "topicSubscriptionStatus": []}
    return {
        "contactList": "debtors",
        "timestamp": instant(at),
        "source": "UnsubscribeHeader",
        "newTopicPreferences": {**nothing, "unsubscribeAll": True},
        "oldTopicPreferences": nothing,
    }


def feedback_id() -> str:
    """Return a fresh feedback id."""
    return f"{secrets.token_hex(8)}-{secrets.token_hex(16)}-000000"


def instant(at: datetime) -> str:
    """Return an instant as SES writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1_000:03d}Z"
