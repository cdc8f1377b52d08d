"""What every route needs: where to read, whose data, which page.

In: the parameters of a request. Out: checked values, or a problem that names field and remedy.
"""

from datetime import UTC, date, datetime, time
from typing import Annotated, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Depends, Path, Query
from pydantic import JsonValue

from services.contact_ledger import cursors
from services.contact_ledger.opening import Opener
from services.contact_ledger.store.contacts import STATES_OF
from shared.directory import Directory
from shared.events.states import ContactState
from shared.http.auth import PLATFORM_TENANT, Principal, require
from shared.http.problems import FieldError, Problem, invalid
from shared.postgres.connection import Pool
from shared.privacy import Keyring

OF_ANOTHER = (404,)  # what another tenant owns, `?tenant=` included, is not there
PAGE_DEFAULT = 100
UUID_FORMAT: dict[str, JsonValue] = {"format": "uuid"}
PAGE_MAX = 1_000  # about 1 MB of JSON; larger pages only delay the first line

T = TypeVar("T", bound=msgspec.Struct)
OUTCOMES = [*STATES_OF, *(state.name.lower() for state in ContactState)]
Cursor = Annotated[
    str | None,
    Query(max_length=cursors.CURSOR_CHARS_MAX, description="`next_cursor` of the page before"),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="most items of one page")]
FromDay = Annotated[
    date | None, Query(alias="from", description="first local day of the debtors, included")
]
ToDay = Annotated[
    date | None, Query(alias="to", description="last local day of the debtors, included")
]
PortfolioId = Annotated[str | None, Query(description="of this portfolio alone")]
# A text, not a UUID: what is no id names nothing, and answers 404 as any other id would.
DebtorId = Annotated[
    str, Path(description="the platform's own id of a debtor", json_schema_extra=UUID_FORMAT)
]
ContactId = Annotated[
    str, Path(description="the platform's own id of a contact", json_schema_extra=UUID_FORMAT)
]


class Reading:
    """What the routes read from. The pool comes later than the routes: health answers first."""

    def __init__(self, *, opener: Opener, keyring: Keyring, directory: Directory) -> None:
        self.opener = opener
        self.keyring = keyring
        self.directory = directory
        self._pool: Pool | None = None

    def attach(self, pool: Pool) -> None:
        """Read from this pool from now on."""
        self._pool = pool

    @property
    def pool(self) -> Pool:
        """The database; the 503 problem while it is not open yet."""
        if self._pool is None:
            raise Problem(503)
        return self._pool


def reader(
    principal: Annotated[Principal, Depends(require("read"))],
    tenant: Annotated[
        str | None, Query(max_length=128, description="whose data; platform keys only")
    ] = None,
) -> str:
    """Return whose data is read: the key's tenant; the platform's key names one by `tenant`."""
    if tenant is None and principal.tenant_id == PLATFORM_TENANT:
        raise _wrong("tenant", "is required with a platform key", "add ?tenant=<id>")
    if tenant is not None and not principal.may_act_for(tenant):
        raise not_found()
    return tenant or principal.tenant_id


Tenant = Annotated[str, Depends(reader)]


def not_found() -> Problem:
    """Return the one answer to what is not there, or not the caller's."""
    return Problem(404)


def place(cursor: str | None, shape: type[T]) -> T | None:
    """Return where the cursor points; None without one."""
    if cursor is None or not cursor:
        return None
    try:
        return cursors.read(cursor, shape)
    except cursors.CursorInvalid:
        raise _wrong(
            "cursor", "is not a cursor of this list", "send next_cursor as it was given"
        ) from None


def instant(field: str, text: str, zone: str = "UTC") -> datetime:
    """Return an aware instant; a date alone is its midnight in `zone`."""
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), ZoneInfo(zone))
        # A plus that was not percent-encoded arrives as a space.
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise _wrong(field, "is neither a date nor an instant", "2026-01-31T00:00:00Z") from None
    if found.tzinfo is None:
        raise _wrong(field, "has no offset", "add Z or an offset such as -03:00")
    return found.astimezone(UTC)


def states_named(outcome: str | None) -> list[int]:
    """Return the states of an outcome: a class of the balance (`sent`: all of it), or one state."""
    if outcome is None:
        return []
    if outcome in STATES_OF:
        return STATES_OF[outcome]
    try:
        return [int(ContactState[outcome.upper()])]
    except KeyError:
        raise _wrong("outcome", "is not an outcome", f"one of {', '.join(OUTCOMES)}") from None


def ordered(starts: datetime, ends: datetime) -> None:
    """Refuse a period that ends before it starts."""
    if ends <= starts:
        raise _wrong("to", "is not after from", "send a later instant")


def uuid_of(field: str, text: str) -> UUID:
    """Return an id; raise the problem that names the field."""
    try:
        return UUID(text)
    except ValueError:
        raise _wrong(field, "is not an id", "send a UUID") from None


def id_or_404(text: str) -> UUID:
    """Return an id out of a path; what is no id names nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise not_found() from None


def _wrong(field: str, message: str, remedy: str) -> Problem:
    return invalid([FieldError(field=field, message=message, remedy=remedy)])
