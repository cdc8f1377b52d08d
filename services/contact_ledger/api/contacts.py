"""GET /v1/contacts: contacts as they stand, for export; GET /v1/contacts/{contact_id}: one."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from msgspec import Meta
from pydantic import JsonValue
from starlette.responses import Response

from services.contact_ledger import cursors
from services.contact_ledger.api.reading import (
    OF_ANOTHER,
    OUTCOMES,
    PAGE_DEFAULT,
    UUID_FORMAT,
    ContactId,
    Cursor,
    FromDay,
    Limit,
    PortfolioId,
    Reading,
    Tenant,
    ToDay,
    id_or_404,
    not_found,
    place,
    states_named,
    uuid_of,
)
from services.contact_ledger.store import contacts
from services.contact_ledger.store.contacts import CLASSES, Contact, ContactFacts, Place, Wanted
from shared.events.contact import Item
from shared.events.states import STATES, ContactState
from shared.http.operations import inlined, operation
from shared.http.server import json_response

STATE_NAMES = [state.name.lower() for state in ContactState]
NAMED: dict[str, JsonValue] = {"enum": [*OUTCOMES]}


ChannelName = Annotated[str | None, Query(description="of this channel alone")]
Outcome = Annotated[
    str | None, Query(description="a class of the balance, or a state", json_schema_extra=NAMED)
]
OfDebtor = Annotated[
    str | None, Query(description="of this debtor alone", json_schema_extra=UUID_FORMAT)
]
Recorded = Annotated[
    bool, Query(description="those, too, that people, dialers and letter houses reported")
]


class ContactView(ContactFacts, frozen=True, kw_only=True):
    """A contact as callers see it. `balance_class` is where the daily balance counts it.

    `state_rules` are the rules that a decision to end it named; `accepted` counts provider calls
    that were accepted: never more than one.
    """

    items: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "array", "items": inlined(Item)})]
    state: Annotated[str, Meta(extra_json_schema={"enum": STATE_NAMES})] | None
    state_rules: list[str]
    balance_class: Annotated[str, Meta(extra_json_schema={"enum": [*CLASSES]})] | None
    accepted: int


class ContactPage(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts; `next_cursor` is null on the last page."""

    contacts: list[ContactView]
    next_cursor: str | None


def router(reading: Reading) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["contacts"])

    @routes.get(
        "/v1/contacts",
        openapi_extra=operation("list_contacts", gives=ContactPage, refuses=OF_ANOTHER),
    )
    async def list_contacts(
        tenant: Tenant,
        portfolio: PortfolioId = None,
        channel: ChannelName = None,
        outcome: Outcome = None,
        debtor_id: OfDebtor = None,
        day_from: FromDay = None,
        day_to: ToDay = None,
        recorded: Recorded = False,  # noqa: FBT002 - a query parameter
        cursor: Cursor = None,
        limit: Limit = PAGE_DEFAULT,
    ) -> Response:
        """Every contact of the balance; with `recorded`, also those that people reported."""
        wanted = Wanted(
            tenant_id=tenant,
            portfolio_id=portfolio,
            channel=channel,
            states=states_named(outcome),
            day_from=day_from,
            day_to=day_to,
            debtor_id=uuid_of("debtor_id", debtor_id) if debtor_id else None,
            recorded_too=recorded,
        )
        return json_response(await find(reading, wanted, cursor, limit))

    @routes.get(
        "/v1/contacts/{contact_id}",
        openapi_extra=operation("read_contact", gives=ContactView, refuses=OF_ANOTHER),
    )
    async def read_contact(tenant: Tenant, contact_id: ContactId) -> Response:
        """One contact as it stands."""
        wanted = Wanted(tenant_id=tenant, contact_id=id_or_404(contact_id), recorded_too=True)
        async with reading.pool.acquire() as conn:
            found = await contacts.page(conn, wanted, after=None, limit=1)
        if not found:
            raise not_found()
        return json_response(shown(found[0]))

    return routes


async def find(reading: Reading, wanted: Wanted, cursor: str | None, limit: int) -> ContactPage:
    """Return one page of contacts and where the next one starts."""
    after = place(cursor, Place)
    async with reading.pool.acquire() as conn:
        found = await contacts.page(conn, wanted, after=after, limit=limit)
    end = Place(contact_id=found[-1].contact_id, day=found[-1].day) if len(found) == limit else None
    return ContactPage(
        contacts=[shown(contact) for contact in found],
        next_cursor=cursors.write(end) if end is not None else None,
    )


def shown(contact: Contact) -> ContactView:
    """Return a contact as callers see it: states by name, and where the balance counts it."""
    state = None if contact.state is None else ContactState(contact.state)
    in_balance = state is not None and contact.origin == "platform"
    return ContactView(
        **{name: getattr(contact, name) for name in ContactFacts.__struct_fields__},
        items=msgspec.Raw((contact.items or "[]").encode()),
        state=None if state is None else state.name.lower(),
        balance_class=STATES[state].balance_class if state is not None and in_balance else None,
        accepted=len(contact.accepted_ids),
        state_rules=contact.state_rules or [],
    )
