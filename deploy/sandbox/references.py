"""Our reference as a client puts it into a message: the provider makes nothing of it, we do.

In: what a request carries as callback data, tag or tracker. Out: the contact and attempt that the
truth log names. The text is contact (32 hex digits), number of the attempt, day, seal, by hyphens.
"""

import re
from uuid import UUID

_REFERENCE = re.compile(r"([0-9a-f]{32})-([0-9]{1,5})-[0-9]{8}-[0-9a-f]+")


def named(reference: str) -> tuple[str | None, str | None]:
    """Return contact and attempt that a reference names; None for what is none of ours."""
    found = _REFERENCE.match(reference)
    if found is None:
        return None, None
    contact_id = str(UUID(found[1]))
    return contact_id, f"{contact_id}/{found[2]}"
