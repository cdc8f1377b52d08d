"""POST /v1/search: debtors by reference, phone, e-mail; contacts by portfolio, outcome, days.

By POST, so that no personal data stands in a URL or a log. What is searched for is digested under
every configured key; the ledger stores no address in clear.
"""

from datetime import date
from uuid import UUID

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.contact_ledger.api import contacts
from services.contact_ledger.api.contacts import ContactView
from services.contact_ledger.api.reading import (
    OF_ANOTHER,
    PAGE_DEFAULT,
    PAGE_MAX,
    Reading,
    Tenant,
    states_named,
)
from services.contact_ledger.cursors import CURSOR_CHARS_MAX
from services.contact_ledger.lookups import (
    DEBT_REF,
    DEBTOR_REF,
    EMAIL,
    PHONE,
    digests_for,
    is_phone,
)
from services.contact_ledger.store import accounts, lookups
from services.contact_ledger.store.accounts import Account
from services.contact_ledger.store.contacts import Wanted
from shared.http.operations import JSON, SCHEMAS, Example, body, media, operation
from shared.http.problems import FieldError, Problem, invalid
from shared.http.server import json_response

PERSONS = (DEBTOR_REF, DEBT_REF, PHONE, EMAIL)
REFERENCE_CHARS_MAX = 512


class Search(BaseModel):
    """What to look for: one way to name a debtor, or a description of contacts."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    debtor_ref: str | None = Field(None, max_length=REFERENCE_CHARS_MAX)
    debt_ref: str | None = Field(None, max_length=REFERENCE_CHARS_MAX)
    phone: str | None = Field(None, max_length=64)
    email: str | None = Field(None, max_length=320)
    contact_id: UUID | None = None
    portfolio: str | None = Field(None, max_length=128)
    channel: str | None = Field(None, max_length=32)
    outcome: str | None = Field(None, max_length=32)
    day_from: date | None = Field(None, alias="from")
    day_to: date | None = Field(None, alias="to")
    cursor: str | None = Field(None, max_length=CURSOR_CHARS_MAX)
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)


class FoundDebtor(msgspec.Struct, frozen=True, kw_only=True):
    """A debtor that matches, and its accounts; `debt_id` names the debt that was asked for."""

    debtor_id: UUID
    debt_id: UUID | None
    accounts: list[Account]


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """Debtors, or contacts, that match; `next_cursor` is null on the last page."""

    debtors: list[FoundDebtor]
    contacts: list[ContactView]
    next_cursor: str | None


SEARCH = operation("search", gives=SearchResult, refuses=OF_ANOTHER) | {
    "requestBody": body(
        {
            JSON: media(
                {"$ref": SCHEMAS + Search.__name__},
                {
                    "reference": Example(
                        summary="the debtor of a client's reference",
                        value={"debtor_ref": "cust-77"},
                    ),
                    "outcome": Example(
                        summary="what was not delivered on a day",
                        value={"outcome": "undelivered", "from": "2027-03-01", "to": "2027-03-01"},
                    ),
                },
            )
        }
    )
}


def router(reading: Reading) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["history"])

    @routes.post("/v1/search", openapi_extra=SEARCH)
    async def search(tenant: Tenant, wanted: Search) -> Response:
        """Debtors (with their accounts) or contacts that match; empty lists when none do."""
        named = [kind for kind in PERSONS if getattr(wanted, kind) is not None]
        described = _described(wanted)
        if len(named) + bool(described) != 1:
            raise _one_thing()
        if named:
            found = await _debtors(reading, tenant, named[0], getattr(wanted, named[0]))
            return json_response(SearchResult(debtors=found, contacts=[], next_cursor=None))
        page = await contacts.find(
            reading,
            Wanted(
                tenant_id=tenant,
                portfolio_id=wanted.portfolio,
                channel=wanted.channel,
                states=states_named(wanted.outcome),
                day_from=wanted.day_from,
                day_to=wanted.day_to,
                contact_id=wanted.contact_id,
                recorded_too=wanted.contact_id is not None,
            ),
            wanted.cursor,
            wanted.limit,
        )
        result = SearchResult(debtors=[], contacts=page.contacts, next_cursor=page.next_cursor)
        return json_response(result)

    return routes


def _described(wanted: Search) -> list[str]:
    names = ("contact_id", "portfolio", "channel", "outcome", "day_from", "day_to")
    return [name for name in names if getattr(wanted, name) is not None]


async def _debtors(reading: Reading, tenant: str, kind: str, value: str) -> list[FoundDebtor]:
    if kind == PHONE and not is_phone(value):
        raise invalid(
            [FieldError(field=PHONE, message="is not a phone number", remedy="send it as +5511...")]
        )
    digests = digests_for(reading.keyring, tenant, kind, value)
    async with reading.pool.acquire() as conn:
        found = await lookups.find(conn, tenant, digests)
        current = await accounts.surviving(conn, tenant, [each.debtor_id for each in found])
        owed = await accounts.of_debtors(conn, tenant, list(current.values()))
    debts = {each.debtor_id: each.debt_id for each in found}
    return [
        FoundDebtor(
            debtor_id=current[debtor_id],
            debt_id=debt_id,
            accounts=[each for each in owed if each.debtor_id == current[debtor_id]],
        )
        for debtor_id, debt_id in debts.items()
    ]


def _one_thing() -> Problem:
    return invalid(
        [
            FieldError(
                field="body",
                message="names no single thing to search for",
                remedy=f"send one of {', '.join(PERSONS)}; or contact_id, portfolio, channel, "
                "outcome, from, to",
            )
        ]
    )
