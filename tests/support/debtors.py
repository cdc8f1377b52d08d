"""People with one debt each, and what a client system says about them.

In: a journey's number and how many. Out: people whose numbers no other journey uses, and events.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from deploy.portfolio.debtors import BRAZIL

AMOUNT = "1120.00"
NAME = "Maria da Silva"
PEOPLE_PER_JOURNEY_MAX = 100_000

Json = dict[str, Any]


class Debtor(msgspec.Struct, frozen=True):
    """A person as the client knows them; `key` is part of every id."""

    key: str
    phone: str
    name: str = NAME
    email: str | None = None
    document: str | None = None
    amount: str = AMOUNT
    channels: tuple[str, ...] = ("sms",)

    @property
    def ref(self) -> str:
        """The client's reference of the person."""
        return f"person-{self.key}"

    @property
    def debt_ref(self) -> str:
        """The client's reference of the debt."""
        return f"debt-{self.key}"


def debtors(
    journey: int, first: int, number: int, channels: Sequence[str] = ("sms",)
) -> list[Debtor]:
    """Return `number` people of a journey, from the `first`, reachable on these channels."""
    return [
        Debtor(
            key=f"{journey}-{each}",
            phone=f"+55119{60_000_000 + journey * PEOPLE_PER_JOURNEY_MAX + each:08d}",
            email=f"person-{journey}-{each}@example.com" if "email" in channels else None,
            channels=tuple(channels),
        )
        for each in range(first, first + number)
    ]


def registration(person: Debtor, due: date, at: datetime) -> Json:
    """debt.registered, with everything about the person."""
    points = [_point(name, person.phone) for name in person.channels if name != "email"]
    if person.email is not None:
        points.append(_point("email", person.email))
    data: Json = {
        "portfolio_id": BRAZIL.portfolio_id,
        "debt_ref": person.debt_ref,
        "debtor_ref": person.ref,
        "debtor": {
            "name": person.name,
            "kind": "person",
            "locale": "pt-BR",
            "places": [{"country": "BR", "subdivision": "SP", "zone": "America/Sao_Paulo"}],
            "contact_points": points,
        },
        "principal": person.amount,
        "currency": "BRL",
        "due_date": due.isoformat(),
    }
    if person.document is not None:
        data["document"] = person.document
    return event("debt.registered", f"register-{person.key}", at, data)


def payment(person: Debtor, amount: str, at: datetime, *, suffix: str = "") -> Json:
    """debt.payment_received."""
    data = {"debt_ref": person.debt_ref, "amount": amount, "currency": "BRL"}
    return event("debt.payment_received", f"pay-{person.key}{suffix}", at, data)


def withdrawal(person: Debtor, at: datetime) -> Json:
    """debt.cancelled."""
    return event("debt.cancelled", f"withdraw-{person.key}", at, {"debt_ref": person.debt_ref})


def event(type_: str, id_: str, at: datetime, data: Json) -> Json:
    """A CloudEvent of the client system."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/billing",
        "type": type_,
        "time": at.isoformat(),
        "data": data,
    }


def _point(channel: str, address: str) -> Json:
    return {
        "channel": channel,
        "address": address,
        "verified": True,
        "consent": "granted",
        "consent_origin": "contract",
    }
