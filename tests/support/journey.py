"""A site (a whole running platform) and journeys on it: one fresh tenant each, told from outside.

In: a stack; people with debts. Out: what the client did, what the provider witnessed, what the
ledger says, and the verdict of the independent verifier over all three. Nothing here reads a
database.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from deploy.demo import law
from deploy.demo.driver import Driver
from deploy.demo.evidence import Accepted, Evidence, LedgerContact, Person, Stop, TruthLine
from deploy.demo.platform import Platform
from deploy.demo.verify import verify
from deploy.local.processes import LOOPBACK, free_port
from deploy.local.stack import Options, Stack
from deploy.sandbox.truth import recipient_digest
from tests.support import tenancy
from tests.support.debtors import AMOUNT, Debtor, debtors, payment, registration, withdrawal

Json = dict[str, Any]

SEED = "journeys"
TENANTS_MAX = 64  # of one site; each has an account of its own at the provider
FIRST_DAY = datetime(2027, 3, 1, tzinfo=UTC)  # a Monday
OPENS, MIDDAY = timedelta(hours=11), timedelta(hours=15)  # 08:00 and 12:00 in São Paulo
SAO_PAULO = law.Place("BR", "SP", "America/Sao_Paulo")
UNTIL_SETTLED = timedelta(days=1, hours=23)  # beyond the window's end and 24 h: unknowns are final
CLOSE_SECONDS_MAX = 30.0
WAIT_SECONDS_MAX = 60.0  # longer than any restart with its recovery
POLL_SECONDS = 0.05
PAGE = 1_000
# A provider that is silent for two seconds is silent: the tests need not wait for fifteen.
SENDER_SETTINGS = {
    "PROVIDER_READ_SECONDS_MAX": "2",
    "PROVIDER_CONNECT_SECONDS_MAX": "1",
    "PROVIDER_CALLS_MAX": "32",
}


class Site:
    """A running platform on servers of its own; journeys come one after the other."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        sender = tenancy.variables(range(TENANTS_MAX)) | SENDER_SETTINGS
        # Replicas of a sender stand behind one public address: the first process plays it.
        public = {"PUBLIC_URL": f"http://{LOOPBACK}:{port}"}
        self.stack = Stack(
            Options(
                folder=folder,
                own_servers=True,
                seed=SEED,
                ports={"sms_sender": port},
                environment={
                    "sms_sender": sender | public,
                    "whatsapp_sender": sender,
                    "email_sender": sender,
                },
            )
        )
        self.law_now = FIRST_DAY
        self._numbers = count()

    def start(self) -> None:
        """Start everything; leave nothing behind when that fails."""
        self.stack.__enter__()

    def stop(self) -> None:
        """Stop everything."""
        self.stack.stop()

    def journey(
        self,
        *,
        at: timedelta = MIDDAY,
        rate: float = 2_000.0,
        channels: Sequence[str] = ("sms",),
    ) -> "Journey":
        """A fresh tenant on the next working day, `at` this time since midnight UTC."""
        day = self.law_now.replace(hour=0, minute=0, second=0, microsecond=0)
        while day + at < self.law_now or law.forbidden(day + MIDDAY, (SAO_PAULO,)) is not None:
            day += timedelta(days=1)
        return Journey(self, next(self._numbers), day + at, rate, channels)


class Journey:
    """One tenant's story."""

    def __init__(
        self, site: Site, number: int, start: datetime, rate: float, channels: Sequence[str]
    ) -> None:
        self.site, self.stack, self.number = site, site.stack, number
        self.tenant_id, self.sid = f"journey-{number}", tenancy.sid(number)
        self.platform = Platform(
            {name: self.stack.url(name) for name in self.stack.processes},
            admin_key=self.stack.admin_key,
            control_key=self.stack.control_key,
        )
        self._begins_after = self._last_line()
        self.platform.sandbox("DELETE", "/sandbox/faults")
        self.platform.sandbox("POST", "/sandbox/behaviour", {"preset": "silent"})
        self.driver = Driver(self.platform, list(self.stack.processes), start)
        self.start = start
        self.results: list[Json] = []
        self.debtors: list[Debtor] = []
        self.stops: list[Stop] = []
        self._accounts = {self.sid, tenancy.waba(number), tenancy.mail_user(number)}
        senders = tenancy.senders(self.platform, self.stack, number, self.tenant_id, channels)
        wanted = tenancy.configuration(
            tenant_id=self.tenant_id, senders=senders, rate_per_second=rate
        )
        self.platform.configure(self.tenant_id, wanted)

    # What the client does.

    def people(self, number: int, *, channels: Sequence[str] = ("sms",)) -> list[Debtor]:
        """So many people more, unknown to the platform, reachable on these channels."""
        made = debtors(self.number, len(self.debtors), number, channels)
        self.debtors += made
        return made

    def post(self, events: Iterable[Json]) -> list[Json]:
        """Post events; remember and return the answers."""
        results = self.platform.post_events(iter(events))
        self.results += results
        return results

    def register(self, people: Sequence[Debtor], *, days_past_due: int = 1) -> list[Json]:
        """Register a debt of each; due yesterday, the ladder's first step is due today."""
        due = (self.driver.now - timedelta(days=days_past_due)).date()
        return self.post(registration(person, due, self.driver.now) for person in people)

    def pay(self, people: Sequence[Debtor]) -> datetime:
        """Post full payments; return the machine time at which they were accepted."""
        self.post(payment(person, AMOUNT, self.driver.now) for person in people)
        accepted_at = self.platform.machine_now()
        self.stop_of(people, "paid", accepted_at)
        return accepted_at

    def stop_of(self, people: Iterable[Debtor], reason: str, machine_at: datetime) -> None:
        """From now on these people are to be left alone."""
        for person in people:
            self.stops.extend(
                Stop(digest, reason, machine_at, self.driver.now) for digest in self.digests(person)
            )

    def reply(self, person: Debtor, text: str, intent: str, *, provider: str | None = None) -> None:
        """Let a person answer the last message, or the last one by this provider."""
        recipient = person.email if provider in {"smtp", "ses"} else person.phone
        body = {"recipient": recipient, "text": text, "intent": intent}
        if provider is not None:
            body["provider"] = provider
        self.platform.sandbox("POST", "/sandbox/replies", body)

    def faults(self, *faults: Json) -> None:
        """Script troubles of the provider."""
        self.platform.sandbox("POST", "/sandbox/faults", list(faults))

    def run_until(self, end: datetime) -> None:
        """Step law time from due to due until `end`."""
        self.driver.run_until(end, lambda: False)
        self.site.law_now = self.driver.now

    def settle(self) -> None:
        """Let two days pass: every contact of the first is final then."""
        self.run_until(self.driver.now + UNTIL_SETTLED)

    def close(self) -> None:
        """Withdraw every debt, so that this tenant is silent for the journeys to come."""
        known = {result["id"] for result in self.results}
        self.platform.post_events(
            withdrawal(person, self.driver.now)
            for person in self.debtors
            if registration(person, self.driver.now.date(), self.driver.now)["id"] in known
        )
        self.driver.drain(CLOSE_SECONDS_MAX)
        self.site.law_now = self.driver.now

    # What the provider saw and the ledger says.

    def digest(self, person: Debtor) -> str:
        """How a person's number appears in the truth log."""
        return recipient_digest(SEED, person.phone)

    def digests(self, person: Debtor) -> tuple[str, ...]:
        """How a person appears in the truth log: number, and mailbox if there is one."""
        mail = (recipient_digest(SEED, person.email),) if person.email is not None else ()
        return (self.digest(person), *mail)

    def truth(self, kind: str | None = None, person: Debtor | None = None) -> list[Json]:
        """The providers' log of this tenant: all of it, of a kind, of a person."""
        digests = self.digests(person) if person is not None else None
        return [
            line
            for line in self.platform.truth(self._begins_after)
            if line.get("account") in self._accounts
            and kind in (None, line["kind"])
            and (digests is None or line.get("recipient") in digests)
        ]

    def _last_line(self) -> int:
        lines = self.platform.truth()
        return int(lines[-1]["seq"]) if lines else 0

    def accepted(self) -> Counter[str]:
        """How many messages the provider accepted for each recipient (digest)."""
        return Counter(line["recipient"] for line in self.truth("accepted"))

    def contacts(self, **wanted: str) -> list[Json]:
        """Contacts in the ledger."""
        return list(self.platform.pages("/v1/contacts", "contacts", limit=PAGE, **wanted))

    def contacts_of(self, person: Debtor) -> list[Json]:
        """One person's contacts in the ledger, in the order they were planned."""
        found = self.contacts(debtor_id=self.debtor_id(person))
        return sorted(found, key=lambda contact: contact["planned_at"] or "")

    def debtor_id(self, person: Debtor) -> str:
        """The platform's id of a person, found as a client would find it."""
        found = self.platform.call(
            "POST",
            "contact_ledger",
            "/v1/search",
            json={"debtor_ref": person.ref},
            headers=self.platform.tenant,
        )
        [one] = found["debtors"]
        return str(one["debtor_id"])

    def history(self, person: Debtor) -> list[Json]:
        """Everything that the ledger tells of a person."""
        path = f"/v1/debtors/{self.debtor_id(person)}/history"
        return list(self.platform.pages(path, "entries", limit=PAGE))

    def events(self, *types: str) -> list[Json]:
        """Facts of this tenant in the ledger, of these types or all."""
        found = self.platform.pages("/v1/events", "events", limit=PAGE)
        return [event for event in found if not types or event["type"] in types]

    def evidence(self) -> Evidence:
        """Everything for the verifier."""
        contacts = msgspec.convert(self.contacts(), list[LedgerContact], strict=False)
        return Evidence(
            accepted=[
                Accepted(result["event_id"], result["status"])
                for result in self.results
                if result["status"] != "refused"
            ],
            truth=msgspec.convert(self.truth(), list[TruthLine], strict=False),
            ledger_events=frozenset(event["id"] for event in self.events()),
            contacts=contacts,
            balance=self.platform.ledger("/v1/balance")["totals"],
            people=[Person(self.digests(person), (SAO_PAULO,)) for person in self.debtors],
            stops=self.stops,
            law_end=self.driver.now,
        )

    def check(self) -> None:
        """Nothing lost, nobody contacted twice or unlawfully, by everybody's evidence."""
        verdict = verify(self.evidence())
        assert verdict.ok, verdict


def until(
    condition: Callable[[], object], what: str, seconds_max: float = WAIT_SECONDS_MAX
) -> None:
    """Poll until `condition` holds; fail, saying `what` did not come, after the deadline."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds_max:g} s: {what}"
        time.sleep(POLL_SECONDS)


def instant(text: str) -> datetime:
    """Read an instant of a JSON answer."""
    return datetime.fromisoformat(text)
