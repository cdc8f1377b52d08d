"""Debtors as the client system tells them: CloudEvents, and the client's books for payments.

In: `Debtor` records. Out: structured CloudEvents as JSON-ready dicts; `Books` turns the payments
that the sandbox's debtors made into `debt.payment_received` events, oldest invoice first.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from deploy.portfolio.debtors import CENT, Debtor, Invoice
from deploy.portfolio.names import City

Event = dict[str, Any]
SOURCE = "/clients/sample/billing"


def registrations(debtors: Sequence[Debtor], at: datetime) -> Iterator[Event]:
    """Yield one `debt.registered` per invoice."""
    for debtor in debtors:
        for invoice in debtor.invoices:
            yield event(
                "debt.registered", f"reg-{invoice.debt_ref}", at, _registration(debtor, invoice)
            )


def event(type_: str, id_: str, at: datetime, body: dict[str, Any]) -> Event:
    """Return a structured CloudEvent of the client system."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": SOURCE,
        "type": type_,
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": body,
    }


class Books:
    """What the client's accounts department knows: who owes how much, and who paid."""

    def __init__(self, debtors: Sequence[Debtor]) -> None:
        """Open the books with every invoice unpaid."""
        self._by_address = {
            address: debtor
            for debtor in debtors
            for address in (debtor.phone, debtor.email)
            if address is not None
        }
        self._owed = {
            invoice.debt_ref: invoice.total for debtor in debtors for invoice in debtor.invoices
        }
        self._paid = 0

    def owed(self, debt_ref: str) -> Decimal:
        """Return what is still owed on a debt."""
        return self._owed[debt_ref]

    def owes(self, address: str) -> Decimal:
        """Return what the person at this number or mailbox still owes; zero for a stranger."""
        debtor = self._by_address.get(address)
        invoices = debtor.invoices if debtor is not None else ()
        return sum((self._owed[invoice.debt_ref] for invoice in invoices), Decimal(0))

    def debtor(self, address: str) -> Debtor | None:
        """Return who has this number or mailbox."""
        return self._by_address.get(address)

    def pay(self, address: str, fraction: float, at: datetime) -> list[Event]:
        """Book a payment of `fraction` of everything that this person owes; return the events."""
        debtor = self._by_address.get(address)
        if debtor is None:
            return []
        due = sorted(debtor.invoices, key=lambda invoice: (invoice.due_date, invoice.debt_ref))
        left = (self.owes(address) * Decimal(str(fraction))).quantize(CENT)
        events: list[Event] = []
        for invoice in due:
            part = min(left, self._owed[invoice.debt_ref])
            if part <= 0:
                continue
            self._owed[invoice.debt_ref] -= part
            left -= part
            self._paid += 1
            body = {
                "debt_ref": invoice.debt_ref,
                "amount": f"{part:.2f}",
                "currency": debtor.market.currency,
                "paid_at": at.isoformat(),
            }
            events.append(event("debt.payment_received", f"pay-{self._paid:08d}", at, body))
        return events


def _registration(debtor: Debtor, invoice: Invoice) -> dict[str, Any]:
    body: dict[str, Any] = {
        "portfolio_id": debtor.market.portfolio_id,
        "debt_ref": invoice.debt_ref,
        "debtor_ref": debtor.debtor_ref,
        "debtor": {
            "name": debtor.name,
            "kind": debtor.kind,
            "locale": debtor.locale,
            "places": [_place(city) for city in debtor.cities],
            "contact_points": _points(debtor),
        },
        "principal": f"{invoice.principal:.2f}",
        "interest": f"{invoice.interest:.2f}",
        "penalty": f"{invoice.penalty:.2f}",
        "currency": debtor.market.currency,
        "due_date": invoice.due_date.isoformat(),
        "product": invoice.product,
    }
    if debtor.document is not None:
        body["document"] = debtor.document
    if invoice.stage:
        body["stage"] = invoice.stage
    if invoice.steps_done:
        body["steps_done"] = [
            {"step_key": key, "channel": channel, "at": at.isoformat()}
            for key, channel, at in invoice.steps_done
        ]
    if debtor.past_contacts:
        body["past_contacts"] = [
            {"channel": channel, "at": at.isoformat()} for channel, at in debtor.past_contacts
        ]
    return body


def _place(city: City) -> dict[str, str]:
    return {
        "country": city.country,
        "subdivision": city.subdivision,
        "city": city.name,
        "zone": city.zone,
    }


def _points(debtor: Debtor) -> list[dict[str, Any]]:
    consent: dict[str, Any] = {"consent": debtor.consent}
    if debtor.consent_origin and debtor.consent_at:
        consent["consent_origin"] = debtor.consent_origin
        consent["consent_at"] = debtor.consent_at.isoformat()
    points = [{"channel": "sms", "address": debtor.phone, "verified": True, **consent}]
    if debtor.market.country == "BR":
        points.append({"channel": "whatsapp", "address": debtor.phone, **consent})
    if debtor.email is not None:
        points.append({"channel": "email", "address": debtor.email, **consent})
    return points
