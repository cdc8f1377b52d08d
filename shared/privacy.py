"""Personal data: masked for people, digested for look-ups, sealed for the ledger.

In: phones, e-mails, documents, rendered texts, and keys from the settings. Out: masks safe to log,
keyed digests (HMAC-SHA256: a national id cannot be enumerated without the key), and AES-GCM sealed
texts bound to their context. Nothing here stores or logs anything.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.events.hold import subject_of

EXAMPLE_PREFIX = "example-"  # keys with this prefix work in sandbox mode only (`shared.settings`)
KEY_BYTES = 32  # AES-256 and HMAC-SHA256 both take 32
NONCE_BYTES = 12  # what AES-GCM is specified for
KEY_ID_BYTES = 4  # enough to tell a handful of keys apart, too little to say anything about one
ADDRESS_DIGEST_BYTES = 16  # 128 bits: no accidental collision, half the bytes in every task
KEYRING_KEYS_MAX = 8  # current key, its predecessor, and room for slow rotations
PHONE_DIGITS_SHOWN = 2
MASK = "***"

# Longest first. UUIDs and instants are matched only to be left alone: both contain digit runs.
_PERSONAL = re.compile(
    r"(?P<keep>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})?)?)"
    r"|(?P<email>[\w.!#$%&*+?^{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
    r"|(?P<number>\+\d[\d\s().-]{5,20}\d"  # E.164, with or without separators
    r"|\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"  # CPF
    r"|\b\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}\b"  # CNPJ
    r"|\b\d{3}-\d{2}-\d{4}\b"  # SSN
    r"|(?:\(\d{2,3}\) ?|\b\d{2,3}[ .-])\d{3,5}[ .-]\d{4}\b"  # national phone
    r"|\b\d{10,15}\b)"  # any of these without separators
)


class SealBroken(ValueError):
    """A sealed text cannot be opened: unknown key, wrong context, or altered bytes."""


def mask_phone(phone: str) -> str:
    """Return the phone with all but its last two digits hidden, e.g. `***21`."""
    digits = [char for char in phone if char.isdigit()]
    return (
        MASK + "".join(digits[-PHONE_DIGITS_SHOWN:]) if len(digits) > PHONE_DIGITS_SHOWN else MASK
    )


def mask_email(email: str) -> str:
    """Return the e-mail with its mailbox hidden, e.g. `***@example.org`."""
    _, at, domain = email.rpartition("@")
    return f"{MASK}@{domain}" if at else MASK


def mask_text(text: str) -> str:
    """Return `text` with every phone, e-mail and document number in it replaced by `***`."""
    return _PERSONAL.sub(lambda match: match["keep"] or MASK, text)


def key_bytes(text: str) -> bytes:
    """Return the 32 bytes of a key given in base64; raise ValueError naming the remedy.

    A key that starts with `example-` stands for its own hash: settings allow it in sandbox only.
    """
    if text.startswith(EXAMPLE_PREFIX):
        return hashlib.sha256(text.encode()).digest()
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        msg = f"must be {KEY_BYTES} random bytes in base64 (openssl rand -base64 {KEY_BYTES})"
        raise ValueError(msg)
    return key


def address_digest(key: bytes, channel: str, address: str) -> str:
    """Return the keyed digest of an address on a channel: 32 hexadecimal digits.

    E-mail addresses compare without case; phones are E.164 already.
    """
    name = f"{channel}\x1f{address.strip().lower()}".encode()
    return hmac.digest(key, name, "sha256")[:ADDRESS_DIGEST_BYTES].hex()


def address_subject(key: bytes, tenant_id: str, channel: str, address: str) -> str:
    """Return the hold subject of an address, as tasks and holds both carry it."""
    return subject_of("address", tenant_id, f"{channel}:{address_digest(key, channel, address)}")


class Keyring:
    """HMAC keys with rotation: the first is current, the others still find what they digested."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not 1 <= len(keys) <= KEYRING_KEYS_MAX:
            msg = f"must name 1 to {KEYRING_KEYS_MAX} keys"
            raise ValueError(msg)
        self._keys = dict(keys)
        self.current_id = next(iter(keys))

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `id:base64[,id:base64…]`, current first; raise ValueError naming the remedy."""
        keys: dict[str, bytes] = {}
        for part in text.split(","):
            key_id, colon, value = part.strip().partition(":")
            if not colon or not key_id or key_id in keys:
                msg = "must be id:base64[,id:base64...] with distinct ids, current key first"
                raise ValueError(msg)
            keys[key_id] = key_bytes(value)
        return cls(keys)

    def digest(self, text: str) -> tuple[str, bytes]:
        """Return (key id, digest) under the current key: what is written."""
        return self.current_id, self._under(self.current_id, text)

    def digests(self, text: str) -> list[tuple[str, bytes]]:
        """Return (key id, digest) under every key, current first: what is looked up."""
        return [(key_id, self._under(key_id, text)) for key_id in self._keys]

    def _under(self, key_id: str, text: str) -> bytes:
        return hmac.digest(self._keys[key_id], text.encode(), "sha256")


class Sealer:
    """Encrypts texts with AES-256-GCM; a sealed text opens only in the context it was sealed for.

    The result is `<key id>.<base64url of nonce and ciphertext>`. `older` keys still open.
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._ciphers = {_key_id(each): AESGCM(each) for each in (*older, key)}
        self._current_id = _key_id(key)

    def seal(self, text: str, context: str) -> str:
        """Return `text` sealed for `context` (for example the contact id it belongs to)."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._current_id]
        sealed = nonce + cipher.encrypt(nonce, text.encode(), context.encode())
        return f"{self._current_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, context: str) -> str:
        """Return the text; raise `SealBroken` when key, context or bytes do not fit."""
        key_id, _, body = sealed.partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            msg = "sealed with a key that is not configured here"
            raise SealBroken(msg)
        try:
            raw = base64.urlsafe_b64decode(body)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            msg = "sealed text was altered or belongs to another context"
            raise SealBroken(msg) from None


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"regua key id\x1f" + key).digest()[:KEY_ID_BYTES].hex()
