"""Tasks, permits, holds and templates as the scheduler makes them: one builder per noun."""

import base64
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from shared.events import identities
from shared.events.configuration import Template
from shared.events.contact import ContactTask, Item, Permit
from shared.events.hold import Hold, subject_of
from shared.privacy import address_subject, key_bytes

TENANT = "acme"
ACCOUNT = "acme-sms"
TEMPLATE = "reminder"
PHONE = "+5511987654321"
NUMBER = "+5511940000001"
ADDRESS_KEY = base64.b64encode(b"a" * 32).decode()


def now() -> datetime:
    """The host's clock: the test's servers run on this host."""
    return datetime.now(UTC)  # noqa: TID251 - tests compare with the database of the same host


def a_template(text: str = "Olá {name}, sua fatura de {amount} venceu.") -> Template:
    return Template(channel="sms", content_class="utility", texts={"pt-BR": text})


def a_task(**changes: Any) -> ContactTask:
    """A permitted SMS to one debtor, lawful from an hour ago for three hours."""
    debtor_id, debt_id = uuid4(), uuid4()
    address = changes.get("address", PHONE)
    subjects = (
        "everything",
        subject_of("tenant", TENANT),
        subject_of("debtor", TENANT, str(debtor_id)),
        subject_of("debt", TENANT, str(debt_id)),
        address_subject(key_bytes(ADDRESS_KEY), TENANT, "sms", address),
    )
    fields: dict[str, Any] = {
        "contact_id": identities.contact_id(
            tenant_id=TENANT, debt_id=debt_id, episode=1, step_key="d3", channel="sms", k=1
        ),
        "debtor_id": debtor_id,
        "tenant_id": TENANT,
        "portfolio_id": "loja",
        "channel": "sms",
        "address": address,
        "locale": "pt-BR",
        "account_id": ACCOUNT,
        "template_id": TEMPLATE,
        "template_version": 1,
        "content_class": "utility",
        "step_key": "d3",
        "stage": 1,
        "items": (Item(debt_id=debt_id, episode=1, step_key="d3", stage=1),),
        "values": {"name": "Maria", "amount": "R$ 120,00"},
        "subjects": subjects,
        "permit": a_permit(),
    }
    return ContactTask(**(fields | changes))


def a_permit(**changes: Any) -> Permit:
    at = now()
    fields: dict[str, Any] = {
        "issued_at": at,
        "not_before": at - timedelta(hours=1),
        "not_after": at + timedelta(hours=2),
        "local_date": date(2026, 11, 22),
        "versions": {},
    }
    return Permit(**(fields | changes))


def a_hold(subject: str, **changes: Any) -> Hold:
    fields: dict[str, Any] = {
        "hold_id": uuid4(),
        "tenant_id": TENANT,
        "scope": subject.partition(":")[0],
        "subject": subject,
        "reason": "payment_received",
        "version": 1,
        "state": "active",
        "placed_at": now(),
    }
    return Hold(**(fields | changes))
