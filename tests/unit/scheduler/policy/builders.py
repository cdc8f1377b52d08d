"""Builders for the policy's tests: one per noun, with a plain Brazilian consumer as the default."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from services.scheduler.policy.decide import decide
from services.scheduler.policy.decision import Decision, Defer, Drop, Folded, Go
from services.scheduler.policy.fold import fold
from services.scheduler.policy.gate import gate
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.packs import load_pack
from services.scheduler.policy.progress import dispatched
from services.scheduler.policy.rulebook import Ladder, Pack, Rulebook
from services.scheduler.policy.state import DebtorState
from shared.events.configuration import Portfolio, SenderAccount, Template
from shared.events.contact import ContactAttempted, ContactReceipt, ContactReply
from shared.events.debt import (
    ContactPoint,
    DebtorFacts,
    DebtRegistered,
    PastContact,
    Place,
    StepDone,
)
from shared.events.hold import Hold
from shared.events.identities import NAMESPACE

SCHEDULER = Path(__file__).parents[4] / "services" / "scheduler"
TENANT = "acme"
DEBTOR = UUID("11111111-1111-4111-8111-111111111111")
SAO_PAULO_PHONE = "+5511987654321"
NEW_YORK_PHONE = "+12125550142"


def uid(name: str) -> UUID:
    """A readable, stable id."""
    return uuid5(NAMESPACE, f"test\x1f{name}")


def at(text: str) -> datetime:
    """An instant: `2026-10-05 13:00` is UTC, an offset may follow."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def shipped_ladder(name: str) -> Ladder:
    return load_ladder((SCHEDULER / "ladders" / f"{name}.yaml").read_text())


def shipped_pack(name: str) -> Pack:
    return load_pack((SCHEDULER / "packs" / f"{name}.yaml").read_text())


def portfolio(**changes: Any) -> Portfolio:
    fields: dict[str, Any] = {
        "creditor_name": "Loja Azul",
        "collector_role": "first_party",
        "country": "BR",
        "currency": "BRL",
        "locale": "pt-BR",
        "ladder_id": "br-consumer-standard",
        "accounts": {"sms": "main-sms"},
        "packs": ("br-default", "br-sp"),
    }
    return Portfolio(**(fields | changes))


def us_portfolio(**changes: Any) -> Portfolio:
    fields: dict[str, Any] = {
        "creditor_name": "Blue Store",
        "collector_role": "third_party",
        "country": "US",
        "currency": "USD",
        "locale": "en-US",
        "ladder_id": "us-third-party",
        "packs": ("us-federal", "us-ma"),
    }
    return portfolio(**(fields | changes))


def account(**changes: Any) -> SenderAccount:
    fields: dict[str, Any] = {
        "channel": "sms",
        "provider": "twilio",
        "sender": "+15005550006",
        "rate_per_second": 100.0,
        "credentials": {"sid": "env:SID"},
    }
    return SenderAccount(**(fields | changes))


def template(**texts: str) -> Template:
    return Template(
        channel="sms",
        content_class="utility",
        texts=texts or {"pt-BR": "Olá {first_name}: {amount}", "en-US": "Hi {first_name}"},
    )


def rulebook(
    *,
    portfolios: dict[str, Portfolio] | None = None,
    ladders: Iterable[Ladder] | None = None,
    packs: Iterable[Pack] | None = None,
    accounts: dict[str, SenderAccount] | None = None,
    templates: dict[str, Template] | None = None,
) -> Rulebook:
    """The shipped ladders and packs, a Brazilian and an American portfolio."""
    books = list(
        ladders
        if ladders is not None
        else [shipped_ladder("br-consumer-standard"), shipped_ladder("us-third-party")]
    )
    used = {name for ladder in books for step in ladder.steps for name in step.templates.values()}
    law = packs
    if law is None:
        names = ("br-default", "br-sp", "us-federal", "us-ma", "us-tcpa")
        law = [shipped_pack(name) for name in names]
    return Rulebook(
        tenant_id=TENANT,
        portfolios={
            key: (1, value)
            for key, value in (portfolios or {"br": portfolio(), "us": us_portfolio()}).items()
        },
        ladders={ladder.id: (1, ladder) for ladder in books},
        packs={pack.id: (1, pack) for pack in law},
        templates={
            name: (7, value)
            for name, value in (templates or {key: template() for key in used}).items()
        },
        accounts={key: (1, value) for key, value in (accounts or {"main-sms": account()}).items()},
    )


def point(address: str = SAO_PAULO_PHONE, **changes: Any) -> ContactPoint:
    return ContactPoint(**({"channel": "sms", "address": address} | changes))


def registered(name: str = "d1", **changes: Any) -> DebtRegistered:
    """A debt of 1,120.00 BRL due on 2026-10-05, a Monday, of somebody in São Paulo."""
    facts: dict[str, Any] = {
        "debtor_ref": "c-1",
        "name": "Maria Souza",
        "locale": "pt-BR",
        "places": (Place(country="BR", subdivision="SP", zone="America/Sao_Paulo"),),
        "contact_points": (point(),),
    }
    for key in list(changes):
        if key in ("debtor_name", "places", "contact_points", "locale"):
            facts["name" if key == "debtor_name" else key] = changes.pop(key)
    fields: dict[str, Any] = {
        "debtor_id": DEBTOR,
        "debt_id": uid(name),
        "portfolio_id": "br",
        "occurred_at": at("2026-09-25 12:00"),
        "recorded_at": at("2026-09-25 12:00"),
        "debtor": DebtorFacts(**facts),
        "debt_ref": name,
        "principal": 100_000,
        "interest": 10_000,
        "penalty": 2_000,
        "currency": "BRL",
        "due_date": date(2026, 10, 5),
    }
    return DebtRegistered(**(fields | changes))


def about(name: str = "d1", when: str = "2026-10-06 12:00") -> dict[str, Any]:
    """The common fields of an event about one debt."""
    return {
        "debtor_id": DEBTOR,
        "debt_id": uid(name),
        "portfolio_id": "br",
        "occurred_at": at(when),
        "recorded_at": at(when),
    }


def hold(scope: str, subject: str, **changes: Any) -> Hold:
    fields: dict[str, Any] = {
        "hold_id": uid(f"hold {subject}"),
        "tenant_id": TENANT,
        "scope": scope,
        "subject": subject,
        "reason": "operator",
        "version": 1,
        "state": "active",
        "placed_at": at("2026-10-01 00:00"),
    }
    return Hold(**(fields | changes))


def address_subject(channel: str, address: str) -> str:
    return f"address:{TENANT}:{channel}:{hash(address) & 0xFFFF:x}"


class Desk:
    """One debtor under test: fold, decide, dispatch, report, on a clock that the test moves."""

    def __init__(self, book: Rulebook | None = None, now: str = "2026-09-25 15:00") -> None:
        self.book = book or rulebook()
        self.now = at(now)
        self.state: DebtorState | None = None
        self.holds: list[Hold] = []

    @property
    def known(self) -> DebtorState:
        assert self.state is not None
        return self.state

    def tell(self, event_type: str, event: Any, event_id: UUID | None = None) -> Folded:
        folded = fold(
            self.state,
            f"{event_type}.v1",
            event_id or uid(f"{event_type} {event!r}"),
            event,
            TENANT,
            self.now,
            address_subject,
        )
        self.state = folded.state
        return folded

    def decide(self, now: str | None = None) -> Decision:
        if now is not None:
            self.now = at(now)
        return decide(self.known, self.book, self.holds, self.now)

    def gate(self, contact_id: UUID) -> Go | Defer | Drop:
        return gate(self.known, contact_id, self.book, self.holds, self.now, address_subject)

    def report(self, contact_id: UUID, fact: str, **changes: Any) -> Folded:
        """A sender's fact about one contact: accepted, failed, unknown, delivered, replied, ..."""
        record = self.known.contacts[str(contact_id)]
        fields: dict[str, Any] = {
            "contact_id": contact_id,
            "debtor_id": self.known.debtor_id,
            "portfolio_id": record.portfolio_id,
            "channel": record.channel,
            "items": record.items,
            "at": self.now,
            "machine_at": self.now,
            "attempt_id": uid("attempt"),
            "provider": "twilio",
            "account_id": record.account_id,
        }
        if fact in ("replied", "opted_out"):
            del fields["attempt_id"]
            fields |= {"reply_id": uid(f"reply {contact_id}"), "intent": "other", "confident": True}
            return self.tell(f"contact.{fact}", ContactReply(**(fields | changes)))
        if fact in ("delivered", "undelivered", "sent", "read", "complained"):
            return self.tell(f"contact.{fact}", ContactReceipt(**(fields | changes)))
        fields |= {"n": 1, "step_key": record.step_key, "stage": record.stage}
        return self.tell(f"contact.{fact}", ContactAttempted(**(fields | changes)))

    def send_without_answer(self, contact_id: UUID) -> Go:
        """Pass the gate and dispatch; nothing came back yet."""
        go = self.gate(contact_id)
        assert isinstance(go, Go), go
        dispatched(self.known, contact_id, go, self.now)
        return go

    def send(self, contact_id: UUID) -> Go:
        """Pass the gate, dispatch, and have the provider accept."""
        go = self.send_without_answer(contact_id)
        self.report(contact_id, "accepted")
        return go


def past(channel: str, when: str) -> PastContact:
    return PastContact(channel=channel, at=at(when))


def done(key: str, when: str) -> StepDone:
    return StepDone(step_key=key, channel="sms", at=at(when))
