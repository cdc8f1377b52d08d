"""The mails that come back: delivery reports, complaints, answering machines, people.

In: a mail as it was accepted, and what became of it. Out: the bytes of a mail about it, in the
forms of RFC 3464 (delivery reports), RFC 5965 (complaints), RFC 3834 (answering machines), and as
mail programs write replies: with all of ours quoted below.
"""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from hashlib import blake2b

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
    fields = (
        f"Reporting-MTA: dns; {MTA}\r\nOriginal-Envelope-Id: {mail.sid.partition('@')[0]}\r\n\r\n"
        f"Final-Recipient: rfc822; {mail.to}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: {diagnosis}\r\n"
    )
    return _report(
        mail,
        "delivery-status",
        {
            "From": MAILER,
            "Subject": f"Delivery Status Notification ({action})",
            "Auto-Submitted": "auto-replied",
        },
        f"Your message: {action}.",
        (fields, f"text/rfc822-headers\r\n\r\n{_headers(mail)}\r\n"),
    )


def complaint(mail: Mail) -> bytes:
    """Return a complaint as a feedback loop sends it: the recipient struck out."""
    fields = (
        "Feedback-Type: abuse\r\nUser-Agent: Sandbox/1.0\r\nVersion: 1\r\n"
        f"Original-Mail-From: <{mail.return_path}>\r\n"
        "Original-Rcpt-To: <redacted>\r\n"
    )
    struck = _headers(mail).replace(mail.to, "redacted@redacted.invalid")
    return _report(
        mail,
        "feedback-report",
        {"From": f"fbl@{MTA}", "Subject": "Abuse report"},
        "This is an abuse report for a message from you.",
        (fields, f"message/rfc822\r\n\r\n{struck}\r\n\r\n(removed)\r\n"),
    )


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


def _date(message: EmailMessage, mail: Mail) -> None:
    message["Date"] = format_datetime(mail.updated or mail.created)
    message["Message-ID"] = make_msgid(domain=MTA)


def _headers(mail: Mail) -> str:
    return mail.headers.decode("ascii", "replace")


def _report(
    mail: Mail, kind: str, headers: dict[str, str], words: str, parts: tuple[str, str]
) -> bytes:
    """Return a multipart/report: words for people, fields for programs, the mail it is about."""
    boundary = f"=_{blake2b(f'{kind}{mail.sid}'.encode(), digest_size=12).hexdigest()}"
    head = headers | {
        "To": mail.return_path,
        "Date": format_datetime(mail.updated or mail.created),
        "Message-ID": make_msgid(domain=MTA),
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/report; report-type={kind}; boundary="{boundary}"',
    }
    bodies = (
        f"text/plain; charset=utf-8\r\n\r\n{words}\r\n",
        f"message/{kind}\r\n\r\n{parts[0]}",
        parts[1],
    )
    lines = "".join([f"{name}: {value}\r\n" for name, value in head.items()])
    inner = "".join([f"--{boundary}\r\nContent-Type: {each}\r\n" for each in bodies])
    return f"{lines}\r\n{inner}--{boundary}--\r\n".encode()
