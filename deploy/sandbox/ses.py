"""Amazon SES v2, judged by Amazon's own client: what it takes, refuses, answers and tells.

In: signed requests under /v2/email. Out: its answers, accepted mails for the world of debtors, and
event records over the topic of a mail's configuration set. Mails to SES's mailbox simulator
(`bounce@simulator.amazonses.com` …) meet the fate that their address names, as with the real one.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from deploy.sandbox import ses_records as records
from deploy.sandbox.clock import machine_now
from deploy.sandbox.intake import Intake, Refused
from deploy.sandbox.messages import Message
from deploy.sandbox.provider import Parts
from deploy.sandbox.ses_errors import error, request_id
from deploy.sandbox.ses_notifications import Topics
from deploy.sandbox.ses_records import Json, cause
from deploy.sandbox.ses_replies import answer, received
from deploy.sandbox.ses_requests import PROVIDER, SIMULATOR, draft, read, validate
from deploy.sandbox.ses_signature import check, read_claim
from deploy.sandbox.ses_store import DAY_QUOTA, RATE_PER_SECOND, Account, Mail, Store
from deploy.sandbox.webhooks import Fate
from deploy.sandbox.wire import Answer, Request

PREFIX = "/v2/email/"
SENDS = f"{PREFIX}outbound-emails"
ACCOUNT = f"{PREFIX}account"
OPENED_STATUSES = frozenset({"read"})

_encoder = msgspec.json.Encoder()


class Ses:
    """The SES v2 API over one store, and the topics that it tells by."""

    name = PROVIDER
    tells_read = True
    throttled_code: int | str = "TooManyRequestsException"
    scripted_code: int | str = "MessageRejected"

    def __init__(self, parts: Parts) -> None:
        """Live on `parts`."""
        self._parts = parts
        self._store = Store()
        self._intake = Intake(PROVIDER, parts, self)
        self._topics = Topics(parts.webhooks)
        self._sent: dict[str, int] = {}
        self.counters = self._intake.counters

    def takes(self, path: str) -> bool:
        """Claim the API, and what SNS serves."""
        return path.startswith(PREFIX) or self._topics.takes(path)

    def register(self, fields: bytes) -> dict[str, object]:
        """Add or replace an account; endpoints that have not confirmed are asked to."""
        account = msgspec.json.decode(fields, type=Account)
        self._store.register(account)
        return {**_public(account), "confirmed": self._topics.subscribe(account)}

    def accounts(self) -> list[dict[str, object]]:
        """Return access keys, identities, topics, and which endpoints have confirmed."""
        return [
            {**_public(each), "confirmed": self._topics.confirmed(each.topic_arn)}
            for each in self._store.accounts.values()
        ]

    def find(self, sid: str) -> Message | None:
        """Return an accepted mail."""
        return self._store.mails.get(sid)

    async def start(self) -> None:
        """Nothing: HTTP only."""

    async def close(self) -> None:
        """Nothing: HTTP only."""

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        if not request.path.startswith(PREFIX):
            return self._topics.handle(request)
        sends = request.path == SENDS and request.method == b"POST"
        try:
            account = self._authenticate(request)
        except Refused as refusal:
            if not sends:
                return error(str(refusal.code), refusal.shown)
            self._intake.asked()
            return self._intake.refuse(None, refusal, None)
        if sends:
            return self._send(account, request)
        if request.path == ACCOUNT and request.method == b"GET":
            return Answer(200, _encoder.encode(self._account(account)), (request_id(),))
        return error("UnknownOperationException", "The operation is not imitated.")

    # Sending.

    def _authenticate(self, request: Request) -> Account:
        claim = read_claim(request)
        account = self._store.accounts.get(claim.key)
        if account is None:
            raise Refused("UnrecognizedClientException")
        token = request.headers.get(b"x-amz-security-token")
        if token != (account.session_token.encode() if account.session_token else None):
            raise Refused("UnrecognizedClientException")
        check(
            request,
            claim,
            secret=account.secret_access_key,
            region=account.region,
            now=machine_now(),
        )
        return self._store.called(account, request.headers.get(b"host", b""))

    def _send(self, account: Account, request: Request) -> Answer:
        try:
            asked = read(request.body)
        except Refused as refusal:
            self._intake.asked(account.access_key_id)
            return self._intake.refuse(None, refusal, account.access_key_id)
        mail = draft(asked, account, created=self._parts.clock.now, seed=self._parts.seed)

        def judge() -> None:
            validate(asked, account)
            self._intake.spend(account.access_key_id, account.rate_per_second)
            sent = self._sent.get(account.access_key_id, 0)
            if account.day_quota is not None and sent >= account.day_quota:
                raise Refused("LimitExceededException")

        def accept() -> Answer:
            self._sent[account.access_key_id] = self._sent.get(account.access_key_id, 0) + 1
            self._store.mails.add(mail)
            return Answer(200, _encoder.encode({"MessageId": mail.sid}), (request_id(),))

        return self._intake.take(mail, judge, accept)

    def refused(self, code: int | str, shown: str = "") -> Answer:
        """Return Amazon's error answer."""
        return error(str(code), shown)

    def throttled(self, retry_after_seconds: float) -> Answer:
        """Return 429; SES never says how long to wait."""
        del retry_after_seconds
        return error("TooManyRequestsException")

    def failed(self) -> Answer:
        """Return Amazon's internal error."""
        return error("InternalServiceErrorException")

    def _account(self, account: Account) -> dict[str, object]:
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "SHUTDOWN" if account.suspended else "HEALTHY",
            "ProductionAccessEnabled": account.production,
            "SendingEnabled": account.sending_enabled,
            "SendQuota": {
                "Max24HourSend": float(account.day_quota or DAY_QUOTA),
                "MaxSendRate": account.rate_per_second or RATE_PER_SECOND,
                "SentLast24Hours": float(self._sent.get(account.access_key_id, 0)),
            },
        }

    # Events.

    def status(self, message: Message, status: str, code: int | str | None, fate: Fate) -> None:
        """Tell what became of a mail; words that are not the sandbox's are event types of SES."""
        account = self._store.accounts.get(message.account_id)
        if account is None or not isinstance(message, Mail):
            fate(None)
            return
        at = message.updated or message.created
        told = _told(message, account, status, code, at)
        if told is None or message.configuration_set is None:
            fate(None)
            return
        kind, detail = told
        entry = self._parts.witness.entry("callback", PROVIDER, message)
        entry.message_sid, entry.status, entry.code = message.sid, status, code
        text = _encoder.encode(records.record(kind, message, account, detail)).decode()
        self._topics.publish(account, text, entry, fate)

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Let the person answer by mail, to where the mail asked."""
        account = self._store.accounts.get(about.account_id)
        if account is None or not isinstance(about, Mail) or not account.receives:
            return
        written = answer(about, text, self._parts.clock.now)
        entry = self._parts.witness.entry("inbound", PROVIDER, about)
        entry.message_sid, entry.reply = written.sid, intent
        record = _encoder.encode(received(about, text, account, written)).decode()
        self._topics.publish(account, record, entry, lambda _: None)


def _told(
    mail: Mail, account: Account, status: str, code: int | str | None, at: datetime
) -> tuple[str, Json] | None:
    """Return type and object of the event that a status comes to; None when SES tells nothing."""
    if status in OPENED_STATUSES:
        return ("Open", records.opened(at)) if mail.html and account.tracking else None
    if status == "queued":
        return None
    if mail.to.endswith(SIMULATOR):
        status, code = _simulated(mail, status, code)
    elif status == "delivered" and mail.to in account.suppressed:
        status, code = "undelivered", "Permanent:OnAccountSuppressionList"
    if status == "undelivered":
        return "Bounce", records.bounce(mail, at, *cause(code))
    tellers: dict[str, tuple[str, Callable[[], Json]]] = {
        "sent": ("Send", dict),
        "delivered": ("Delivery", lambda: records.delivery(mail, at)),
        "Complaint": ("Complaint", lambda: records.complaint(mail, at, "abuse", None)),
        "not-spam": ("Complaint", lambda: records.complaint(mail, at, "not-spam", None)),
        "suppressed": (
            "Complaint",
            lambda: records.complaint(mail, at, None, "OnAccountSuppressionList"),
        ),
        "DeliveryDelay": ("DeliveryDelay", lambda: records.delay(mail, at, "MailboxFull")),
        "Reject": ("Reject", lambda: {"reason": "Bad content"}),
        "Rendering Failure": ("Rendering Failure", lambda: {"errorMessage": "x"}),
        "Open": ("Open", lambda: records.opened(at)),
        "machine": ("Open", lambda: records.opened(at, "Mozilla/5.0")),
        "Click": ("Click", lambda: records.clicked(at)),
        "Subscription": ("Subscription", lambda: records.unsubscribed(at)),
    }
    kind, detail_of = tellers.get(status, (status, dict))
    return kind, detail_of()


def _simulated(mail: Mail, status: str, code: int | str | None) -> tuple[str, int | str | None]:
    """Return the fate that an address of the mailbox simulator names."""
    fates: dict[str, tuple[str, int | str | None]] = {
        "bounce": ("undelivered", "Permanent:General"),
        "complaint": ("Complaint", None),
        "suppressionlist": ("undelivered", "Permanent:Suppressed"),
    }
    name = mail.to.removesuffix(SIMULATOR).partition("+")[0]
    return fates.get(name, (status, code)) if status == "delivered" else (status, code)


def _public(account: Account) -> dict[str, object]:
    return {
        "access_key_id": account.access_key_id,
        "identities": account.identities,
        "topic_arn": account.topic_arn,
    }
