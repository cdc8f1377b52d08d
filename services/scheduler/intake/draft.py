"""Drafts: events in our own terms that lack only their identities, and who posts them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared.events.configuration import Portfolio


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted form of event that lacks its identities.

    `fields` go into the event as they are; references name debt and people in the client's terms.
    """

    tenant_id: str
    client_id: str
    event_id: UUID
    body_hash: bytes
    kind: str
    fields: dict[str, Any]
    occurred_at: datetime | None
    traceparent: str
    debt_ref: str | None = None
    debtor_ref: str | None = None
    document: str | None = None
    into_debtor_ref: str | None = None
    portfolio_id: str | None = None
    currency: str | None = None


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who posts, and what is known of them: `latest` is the latest instant not yet the future."""

    tenant_id: str
    latest: datetime
    portfolio: Callable[[str], Portfolio | None]
