"""How values of one field merge, whichever came first: the same rules as `store.merging`."""

from datetime import date, datetime
from uuid import UUID


def add(ids: list[UUID], new: UUID) -> None:
    """Add an id to a list that holds each once."""
    if new not in ids:
        ids.append(new)


def earliest(known: datetime | None, new: datetime | None) -> datetime | None:
    """Return the earlier of two instants, either of which may be unknown."""
    if known is None or new is None:
        return known or new
    return min(known, new)


def latest(known: datetime | None, new: datetime | None) -> datetime | None:
    """Return the later of two instants, either of which may be unknown."""
    if known is None or new is None:
        return known or new
    return max(known, new)


def latest_day(known: date | None, new: date | None) -> date | None:
    """Return the later of two dates, either of which may be unknown."""
    if known is None or new is None:
        return known or new
    return max(known, new)
