"""Who a client's reference means, for operators: the same identities, read only.

In: a debtor's or a debt's reference. Out: the debtor's id, or None.
"""

from uuid import UUID

from services.scheduler.intake.resolve import by_reference
from services.scheduler.intake.transaction import debt_name, digests_of
from services.scheduler.store import references
from shared.postgres.connection import Connection
from shared.privacy import Keyring


async def find_debtor(
    conn: Connection,
    keyring: Keyring,
    *,
    tenant_id: str,
    debtor_ref: str | None,
    debt_ref: str | None,
) -> UUID | None:
    """Return the debtor of a reference; None when neither is known."""
    if debtor_ref is not None:
        digests = digests_of(keyring, tenant_id, by_reference(debtor_ref))
        found = await references.find_people(conn, digests)
        return next(iter(found.values()), None)
    if debt_ref is not None:
        digests = digests_of(keyring, tenant_id, debt_name(debt_ref))
        return await references.debtor_of_debt(conn, digests)
    return None
