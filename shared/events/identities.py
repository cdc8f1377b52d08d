"""Derived identities: the same inputs give the same id in every process, for ever.

Random ids (debtor, debt) are made once and looked up; only these few are computed, so that a
repeated event, plan or hold lands on the row that exists already. Nothing here is derived from a
document, phone or e-mail: those could be enumerated (promise P9).
"""

import os
import time
from uuid import UUID, uuid5

NAMESPACE = UUID("5b1c2f64-6a3e-5d0b-9a59-2f4d7a0c9e11")


def event_id(tenant_id: str, source: str, client_id: str) -> UUID:
    """Identity of a client's event everywhere downstream (two tenants may both send id 1)."""
    return uuid5(NAMESPACE, f"event\x1f{tenant_id}\x1f{source}\x1f{client_id}")


def contact_id(
    *, tenant_id: str, debt_id: UUID, episode: int, step_key: str, channel: str, k: int
) -> UUID:
    """Identity of a contact: lead debt, episode, step, channel and the scheduler's k (from 1)."""
    name = f"contact\x1f{tenant_id}\x1f{debt_id}\x1f{episode}\x1f{step_key}\x1f{channel}\x1f{k}"
    return uuid5(NAMESPACE, name)


def attempt_id(contact: UUID, n: int) -> UUID:
    """Identity of one provider call for a contact; n starts at 1 and only the sender raises it."""
    return uuid5(contact, f"attempt\x1f{n}")


def hold_id(cause: UUID, scope: str, subject: str) -> UUID:
    """Identity of the hold that an event (`cause`) places on one subject."""
    return uuid5(NAMESPACE, f"hold\x1f{cause}\x1f{scope}\x1f{subject}")


def fact_id(subject: UUID, kind: str, discriminator: str = "") -> UUID:
    """Identity of a platform fact about `subject`; repeated detection gives the same id."""
    return uuid5(NAMESPACE, f"fact\x1f{subject}\x1f{kind}\x1f{discriminator}")


def time_ordered_id() -> UUID:
    """Return a random, time-ordered id (UUID version 7): rows born together stay together."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0x2 << 62 | random & 0x3FFFFFFFFFFFFFFF
    return UUID(int=value)
