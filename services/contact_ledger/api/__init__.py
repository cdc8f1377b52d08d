"""HTTP of the ledger: everything is read, everything belongs to the caller's tenant.

In: requests with scope `read`. Out: JSON; problem+json for what is wrong. Lists are cursor-paged:
`next_cursor` is null on the last page. What another tenant owns answers as what does not exist.
"""

from fastapi import APIRouter

from services.contact_ledger.api import contacts, feed, figures, history, search
from services.contact_ledger.api.reading import Reading


def routers(reading: Reading) -> list[APIRouter]:
    """Return the ledger's routes."""
    return [module.router(reading) for module in (history, search, contacts, figures, feed)]
