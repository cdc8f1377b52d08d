"""The mails that come back: delivery reports, complaints, answering machines, people.

In: a mail as it was accepted, and what became of it. Out: the bytes of a mail about it, in the
forms of RFC 3464 (delivery reports), RFC 5965 (complaints), RFC 3834 (answering machines), and as
mail programs write replies: with all of ours quoted below.
"""

from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from deploy.sandbox.messages import Message as Accepted

MTA = "mx.sandbox.example"
MAILER = f"MAILER-DAEMON@{MTA}"

# Cause of `behaviour` -> enhanced status and the words of the receiving server.
CAUSES: dict[int, tuple[str, str]] = {
    30003: ("4.2.2", "smtp; 452 4.2.2 mailbox full"),
    30005: ("5.1.1", "smtp; 550 5.1.1 user unknown"),
    30006: ("5.1.2", "smtp; 550 5.1.2 no such host"),
    30036: ("4.4.7", "smtp; 554 4.4.7 delivery time expired"),
}
AWAY = {
    "pt": ("Resposta automática", "Estou de férias e volto em breve. Vou pagar tudo amanhã."),
    "es": ("Respuesta automática", "Estoy de vacaciones. Pagaré mañana."),
    "en": ("Automatic reply", "I am out of the office. I will pay tomorrow."),
}


class Mail(Accepted, gc=False):
    """An accepted mail. `headers` are those it came with, `notify` what DSNs were asked for."""

    return_path: str = ""
    headers: bytes = b""
    subject: str = ""
    reply_to: str = ""
    message_id: str = ""
    notify: str = ""
    unsubscribe_url: str = ""
    unsubscribe_to: str = ""


def delivery_report(mail: Mail, action: str, code: int | str | None) -> bytes:
    """Return a report about a mail; `code` is a cause of `behaviour`, or a status like 5.7.1."""
    if isinstance(code, str):
        status, diagnosis = code, f"smtp; 550 {code} refused"
    else:
        good = ("2.0.0", "smtp; 250 2.0.0 ok")
        failed = ("5.0.0", "smtp; 554 refused")
        known = CAUSES.get(code or 0)
        status, diagnosis = known or (failed if action == "failed" else good)
    if action == "delayed":
        status = "4.4.1"
    report = MIMEMultipart("report", policy=SMTP)
    report.set_param("report-type", "delivery-status")
    report["From"], report["To"] = MAILER, mail.return_path
    report["Subject"] = f"Delivery Status Notification ({action})"
    _date(report, mail)
    report["Auto-Submitted"] = "auto-replied"
    report.attach(MIMEText(f"Your message: {action}.\n", "plain", "utf-8"))
    fields = (
        f"Reporting-MTA: dns; {MTA}\r\nOriginal-Envelope-Id: {mail.sid.partition('@')[0]}\r\n\r\n"
        f"Final-Recipient: rfc822; {mail.to}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: {diagnosis}\r\n"
    )
    report.attach(_part("message", "delivery-status", fields))
    report.attach(_part("text", "rfc822-headers", mail.headers.decode("ascii", "replace")))
    return report.as_bytes()


def complaint(mail: Mail) -> bytes:
    """Return a complaint as a feedback loop sends it: the recipient struck out."""
    report = MIMEMultipart("report", policy=SMTP)
    report.set_param("report-type", "feedback-report")
    report["From"], report["To"] = f"fbl@{MTA}", mail.return_path
    report["Subject"] = "Abuse report"
    _date(report, mail)
    report.attach(MIMEText("This is an abuse report for a message from you.\n", "plain", "utf-8"))
    fields = (
        "Feedback-Type: abuse\r\nUser-Agent: Sandbox/1.0\r\nVersion: 1\r\n"
        f"Original-Mail-From: <{mail.return_path}>\r\n"
        "Original-Rcpt-To: <redacted>\r\n"
    )
    report.attach(_part("message", "feedback-report", fields))
    struck = mail.headers.decode("ascii", "replace").replace(mail.to, "redacted@redacted.invalid")
    report.attach(_part("message", "rfc822", f"{struck}\r\n\r\n(removed)\r\n"))
    return report.as_bytes()


def away(mail: Mail, language: str) -> bytes:
    """Return what an answering machine writes: words that only a person can mean."""
    subject, words = AWAY[language]
    message = _from_person(mail, f"{subject}: {mail.subject}", words)
    message["Auto-Submitted"] = "auto-replied"
    return message.as_bytes()


def reply(mail: Mail, text: str) -> bytes:
    """Return a person's answer, ours quoted below it."""
    quoted = "\n".join(f"> {line}" for line in mail.body.splitlines())
    when = format_datetime(mail.created)
    words = f"{text}\n\nEm {when}, {mail.from_} escreveu:\n{quoted}\n"
    return _from_person(mail, f"Re: {mail.subject}", words).as_bytes()


def unsubscribe(mail: Mail) -> bytes:
    """Return the mail that a program sends to the mailto: of List-Unsubscribe."""
    return _from_person(mail, "unsubscribe", "").as_bytes()


def _from_person(mail: Mail, subject: str, text: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = mail.to, mail.reply_to or mail.from_
    message["Subject"] = subject
    _date(message, mail)
    message["In-Reply-To"] = message["References"] = mail.message_id
    message.set_content(text or "\n")
    return message


def _date(message: Message, mail: Mail) -> None:
    message["Date"] = format_datetime(mail.updated or mail.created)
    message["Message-ID"] = make_msgid(domain=MTA)


def _part(kind: str, subtype: str, text: str) -> Message:
    part = MIMEBase(kind, subtype, policy=SMTP)
    part.set_payload(text)
    return part
