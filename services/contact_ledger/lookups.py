"""What a debtor can be found by: keyed digests of references, phones and e-mails.

In: debt events with facts about the person. Out: digests for the `lookup` table, and the digests
to ask for. Addresses are never stored in clear; digests carry their key's id, and a search tries
every key, so that keys can rotate.
"""

import re
from collections.abc import Iterable
from uuid import UUID

import msgspec

from services.contact_ledger.facts import Fact
from shared.events.debt import DebtorFacts, DebtorUpdated, DebtRegistered
from shared.privacy import Keyring

DEBTOR_REF = "debtor_ref"
DEBT_REF = "debt_ref"
PHONE = "phone"
EMAIL = "email"
EMAIL_CHANNEL = "email"

_PHONE = re.compile(r"\+?[\d\s().-]{5,30}")
_PHONE_NOISE = re.compile(r"[^\d]")


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """One way to find a debtor (and a debt)."""

    tenant_id: str
    digest: bytes
    debtor_id: UUID
    kind: str
    key_id: str
    debt_id: UUID | None = None


def lookups_of(keyring: Keyring, facts: Iterable[Fact]) -> list[Lookup]:
    """Return what `facts` allow to search for."""
    found: dict[tuple[str, bytes, UUID], Lookup] = {}
    for fact in facts:
        data = fact.data
        if isinstance(data, DebtRegistered):
            _add(found, keyring, fact, DEBT_REF, data.debt_ref)
        if isinstance(data, DebtRegistered | DebtorUpdated):
            for kind, value in _names(data.debtor):
                _add(found, keyring, fact, kind, value)
    return list(found.values())


def digests_for(keyring: Keyring, tenant_id: str, kind: str, value: str) -> list[bytes]:
    """Return the digests under which `value` may be stored, the current key's first."""
    return [digest for _, digest in keyring.digests(_text(tenant_id, kind, normal(kind, value)))]


def normal(kind: str, value: str) -> str:
    """Return the one spelling of `value` that is digested."""
    if kind == EMAIL:
        return value.strip().lower()
    if kind == PHONE:
        return "+" + _PHONE_NOISE.sub("", value)
    return value.strip()


def is_phone(value: str) -> bool:
    """Say whether `value` looks like a phone number with its country code."""
    return _PHONE.fullmatch(value.strip()) is not None


def _names(debtor: DebtorFacts) -> Iterable[tuple[str, str]]:
    if debtor.debtor_ref is not None:
        yield DEBTOR_REF, debtor.debtor_ref
    for point in debtor.contact_points or ():
        yield (EMAIL if point.channel == EMAIL_CHANNEL else PHONE), point.address


def _add(
    found: dict[tuple[str, bytes, UUID], Lookup],
    keyring: Keyring,
    fact: Fact,
    kind: str,
    value: str,
) -> None:
    if fact.debtor_id is None:
        return
    key_id, digest = keyring.digest(_text(fact.tenant_id, kind, normal(kind, value)))
    found[fact.tenant_id, digest, fact.debtor_id] = Lookup(
        tenant_id=fact.tenant_id,
        digest=digest,
        debtor_id=fact.debtor_id,
        kind=kind,
        key_id=key_id,
        debt_id=fact.debt_id if kind == DEBT_REF else None,
    )


def _text(tenant_id: str, kind: str, value: str) -> str:
    return f"{tenant_id}\x1f{kind}\x1f{value}"
