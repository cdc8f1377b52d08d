"""How the SMTP provider takes mails in: accounts, greylist, rates, faults, judgement.

In: what the server asks (`smtp_server.Relay`). Out: its answers, every request and refusal in the
truth log, and accepted mails for the provider.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from email.message import EmailMessage
from hashlib import blake2b
from uuid import UUID

import msgspec

from deploy.sandbox.clock import machine_now
from deploy.sandbox.faults import CALL_KINDS, Fault
from deploy.sandbox.provider import Parts
from deploy.sandbox.smtp_reports import Mail
from deploy.sandbox.smtp_rules import Dkim, Refusal, judge
from deploy.sandbox.smtp_server import Conversation
from deploy.sandbox.truth import recipient_digest

PROVIDER = "smtp"
GREYLIST_MAX = 100_000  # pairs of sender and recipient remembered
CALL_FAULTS = {
    "throttle_429": "451 4.7.28 sending too fast",
    "error_500_before": "451 4.3.0 local error",
}
REFUSED = "550 5.1.1 no such user"
_REFERENCE = re.compile(r"[0-9a-f]{32}")
_DEBTOR = re.compile(r"/unsubscribe/[^/]+/[^/]+/[^/]+-([0-9a-f]{32})-[0-9a-f]{16}$")
_WAYS = re.compile(r"<([^>]+)>")


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may send. `inbound` is the client's MX, host:port; `domains` what MAIL FROM may use.

    `greylist` is the share of recipients whose first mail is put off, for `greylist_seconds`.
    """

    username: str
    password: str
    senders: tuple[str, ...]
    domains: tuple[str, ...] = ()
    inbound: str | None = None
    rate_per_second: float | None = None
    greylist: float = 0.0
    greylist_seconds: float = 1.0
    dkim: Dkim | None = None


class SmtpIntake:
    """The relay's way in; `accepted` keeps a mail and lets it live."""

    def __init__(self, parts: Parts, accepted: Callable[[Mail, tuple[Fault, ...]], None]) -> None:
        """Live on `parts`."""
        self._parts = parts
        self._took = accepted
        self.accounts: dict[str, Account] = {}
        self._greylisted: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._budgets: dict[str, tuple[float, float]] = {}
        self.counters = {"requests": 0, "accepted": 0, "refused": 0, "faults": 0}

    def login(self, username: str, password: str) -> bool:
        """Say whether this is an account."""
        account = self.accounts.get(username)
        return account is not None and account.password == password

    def sender(self, username: str, address: str) -> str | None:
        """Refuse a sender that is not the account's, and who sends too fast."""
        account = self.accounts[username]
        own = {each.rpartition("@")[2] for each in account.senders} | set(account.domains)
        if address.rpartition("@")[2] not in own:
            return "550 5.7.1 not authorized to send from this domain"
        return self._spent(account)

    def recipient(self, session: Conversation, address: str) -> str | None:
        """Note the request; refuse by fault or greylist."""
        account = self.accounts[session.username]
        self.counters["requests"] += 1
        draft = self._draft(session, address)
        self._parts.witness.note("request", PROVIDER, draft)
        met = self._parts.faults.meet(address)
        session.fault = next((each for each in met if each.kind in CALL_KINDS), None)
        session.met = met
        self.counters["faults"] += bool(met)
        fault = session.fault
        answer = CALL_FAULTS.get(fault.kind) if fault is not None else None
        if fault is not None and fault.kind == "refuse":
            answer = str(fault.code) if fault.code is not None else REFUSED
        answer = answer or self._greylist(account, session.return_path, address)
        if answer is not None:
            self._refused(draft, answer, fault.kind if fault else None)
        return answer

    def accept(self, session: Conversation, raw: bytes) -> str:
        """Judge and take a mail."""
        account = self.accounts[session.username]
        draft = self._draft(session, session.to)
        try:
            message = judge(raw, recipient=session.to, senders=account.senders, key=account.dkim)
        except Refusal as refusal:
            self._refused(draft, str(refusal), None)
            return str(refusal)
        mail = _completed(draft, message, raw)
        fault = session.fault.kind if session.fault is not None else None
        self.counters["accepted"] += 1
        self._parts.witness.note("accepted", PROVIDER, mail, fault=fault)
        self._took(mail, session.met)
        return f"250 2.0.0 queued as {blake2b(raw, digest_size=6).hexdigest()}"

    def _draft(self, session: Conversation, to: str) -> Mail:
        found = _REFERENCE.search(session.return_path)
        return Mail(
            sid="",
            provider=PROVIDER,
            account_id=session.username,
            from_=session.return_path,
            to=to,
            body="",
            created=self._parts.clock.now,
            contact_id=str(UUID(found.group())) if found else None,
            person=recipient_digest(self._parts.seed, to),
            return_path=session.return_path,
            notify=session.wanted.get("NOTIFY", "FAILURE").upper(),
        )

    def _greylist(self, account: Account, sender: str, recipient: str) -> str | None:
        """Put off the first mail to some recipients; who comes again after a while is let in."""
        if draw(f"greylist|{recipient}") >= account.greylist:
            return None
        pair = (sender.rpartition("@")[2], recipient)
        now = time.monotonic()
        if now - self._greylisted.setdefault(pair, now) >= account.greylist_seconds:
            return None
        if len(self._greylisted) > GREYLIST_MAX:
            self._greylisted.popitem(last=False)
        return "450 4.7.1 greylisted, try again later"

    def _spent(self, account: Account) -> str | None:
        """Take one token of the account's bucket (one second of burst, machine time)."""
        rate = account.rate_per_second
        if not rate:
            return None
        now = machine_now().timestamp()
        tokens, at = self._budgets.get(account.username, (rate, now))
        tokens = min(rate, tokens + (now - at) * rate)
        self._budgets[account.username] = (tokens - 1 if tokens >= 1 else tokens, now)
        return None if tokens >= 1 else "451 4.7.28 sending too fast"

    def _refused(self, draft: Mail, answer: str, fault: str | None) -> None:
        self.counters["refused"] += 1
        code, _, rest = answer.partition(" ")
        self._parts.witness.note(
            "refused", PROVIDER, draft, code=rest.partition(" ")[0], status=code, fault=fault
        )


def draw(text: str) -> float:
    """Return a number from 0 to 1 that only the text decides."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _completed(draft: Mail, message: EmailMessage, raw: bytes) -> Mail:
    """Return a mail with what its bytes say."""
    plain = message.get_body(("plain",))
    ways = _WAYS.findall(message.get("List-Unsubscribe", ""))
    url = next((each for each in ways if each.startswith("http")), "")
    address = next((each for each in ways if each.startswith("mailto:")), "")
    debtor = _DEBTOR.search(url)
    return msgspec.structs.replace(
        draft,
        sid=message["Message-ID"].strip("<> "),
        message_id=message["Message-ID"],
        from_=message["From"].addresses[0].addr_spec,
        body=plain.get_content() if isinstance(plain, EmailMessage) else "",
        headers=raw.partition(b"\r\n\r\n")[0],
        subject=str(message["Subject"]),
        reply_to=message["Reply-To"].addresses[0].addr_spec if message["Reply-To"] else "",
        unsubscribe_url=url,
        unsubscribe_to=address.removeprefix("mailto:").partition("?")[0],
        debtor_id=str(UUID(debtor[1])) if debtor else None,
    )
