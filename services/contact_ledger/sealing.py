"""Seal the body of every entry under its debtor's own key, so that erasure can keep the proof.

In: entry bodies; wrapped data keys from `debtor_key`. Out: sealed bytes, stored and never changed.
A data key is random, one per debtor (one per tenant for entries about nobody), and is stored only
wrapped by the key-encryption key of the settings. Destroying a data key makes the bodies unreadable
for ever, while whatever hashes the stored bytes stays provable. The clear columns that matter are
bound to the body as associated data: a body moved to another entry does not open.
"""

import hashlib
import os
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.contact_ledger.facts import Fact

FORMAT = b"\x01"  # first byte of a sealed body, so that a later cipher can tell itself apart
NONCE_BYTES = 12  # what AES-GCM is specified for; random: 2^32 entries per debtor are out of reach
KEY_BYTES = 32
KEY_ID_BYTES = 4
CACHED_KEYS_MAX = 100_000  # about 25 MB; a debtor's events come close together in time
# Entries about no debtor (wide holds, work items about a file) share one key per tenant.
NOBODY = UUID(int=0)
_NO_NONCE = bytes(NONCE_BYTES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

KeyName = tuple[str, UUID]


class BodyUnreadable(ValueError):
    """A body does not open: its key is unknown here, or the stored bytes were altered."""


class SealedBody(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored body with the clear columns it is bound to."""

    tenant_id: str
    debtor_id: UUID | None
    event_id: UUID
    event_time: datetime
    type: str
    sealed: bytes | None


def key_name(tenant_id: str, debtor_id: UUID | None) -> KeyName:
    """Return whose data key seals an entry."""
    return tenant_id, debtor_id or NOBODY


class KeyWrap:
    """Makes, wraps and unwraps data keys with the key-encryption key; `older` keys still unwrap."""

    def __init__(self, kek: bytes, *older: bytes) -> None:
        self._ciphers = {_key_id(each): AESGCM(each) for each in (*older, kek)}
        self.current_id = _key_id(kek)

    def knows(self, kek_id: str) -> bool:
        """Say whether this key-encryption key is configured."""
        return kek_id in self._ciphers

    def new_key(self, name: KeyName) -> tuple[bytes, bytes]:
        """Return (data key, the same wrapped for storage)."""
        key = os.urandom(KEY_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        return key, nonce + self._ciphers[self.current_id].encrypt(nonce, key, _owner(name))

    def unwrap(self, name: KeyName, kek_id: str, wrapped: bytes) -> bytes:
        """Return the data key; raise `BodyUnreadable` when no configured key fits."""
        cipher = self._ciphers.get(kek_id)
        if cipher is None:
            msg = "a data key is wrapped with a LEDGER_KEK that is not configured here"
            raise BodyUnreadable(msg)
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _owner(name))
        except InvalidTag:
            msg = "a wrapped data key was altered or belongs to another debtor"
            raise BodyUnreadable(msg) from None


class KeyCache:
    """The data keys used last, in memory, unwrapped. None: the key was destroyed."""

    def __init__(self, keys_max: int = CACHED_KEYS_MAX) -> None:
        self._keys: OrderedDict[KeyName, bytes | None] = OrderedDict()
        self._keys_max = keys_max

    def __contains__(self, name: KeyName) -> bool:
        return name in self._keys

    def get(self, name: KeyName) -> bytes | None:
        """Return the key of `name`, which must be in the cache."""
        self._keys.move_to_end(name)
        return self._keys[name]

    def put(self, name: KeyName, key: bytes | None) -> None:
        """Remember a key and forget the one used longest ago when there are too many."""
        self._keys[name] = key
        self._keys.move_to_end(name)
        while len(self._keys) > self._keys_max:
            self._keys.popitem(last=False)


def seal(fact: Fact, key: bytes | None) -> bytes | None:
    """Return the body sealed; None when the debtor's key was destroyed (nothing may be kept)."""
    if key is None:
        return None
    nonce = os.urandom(NONCE_BYTES)
    bound = _bound(fact.tenant_id, fact.event_id, fact.event_time, fact.type)
    return FORMAT + nonce + AESGCM(key).encrypt(nonce, fact.body, bound)


def unseal(body: SealedBody, key: bytes | None) -> bytes | None:
    """Return the body as it arrived; None when it was erased; raise when it was altered."""
    if body.sealed is None or key is None:
        return None
    nonce_ends = len(FORMAT) + NONCE_BYTES
    bound = _bound(body.tenant_id, body.event_id, body.event_time, body.type)
    # The first byte names the cipher; an altered one fails like any other altered byte.
    nonce = body.sealed[len(FORMAT) : nonce_ends] if body.sealed.startswith(FORMAT) else _NO_NONCE
    try:
        return AESGCM(key).decrypt(nonce, body.sealed[nonce_ends:], bound)
    except InvalidTag:
        msg = "an entry's stored bytes were altered, or belong to another entry"
        raise BodyUnreadable(msg) from None


def _bound(tenant_id: str, event_id: UUID, event_time: datetime, type_: str) -> bytes:
    microseconds = (event_time - _EPOCH) // _MICROSECOND  # exact: no float, any zone
    return f"{tenant_id}\x1f{event_id}\x1f{microseconds}\x1f{type_}".encode()


def _owner(name: KeyName) -> bytes:
    return f"{name[0]}\x1f{name[1]}".encode()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"ledger key id\x1f" + key).digest()[:KEY_ID_BYTES].hex()
