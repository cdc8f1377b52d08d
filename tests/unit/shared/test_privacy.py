"""Masks hide, digests find, seals bind."""

import base64
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.privacy import (
    Keyring,
    SealBroken,
    Sealer,
    address_digest,
    address_subject,
    key_bytes,
    mask_email,
    mask_phone,
    mask_text,
)

KEY = b"k" * 32
OTHER = b"o" * 32


@pytest.mark.parametrize(
    "text",
    [
        "+5511987654321",
        "+55 11 98765-4321",
        "+1 (555) 123-4567",
        "(11) 98765-4321",
        "11 98765-4321",
        "555-123-4567",
        "5511987654321",
        "maria.silva@example.com",
        "joão+x@example.com.br",
        "123.456.789-09",
        "12345678909",
        "12.345.678/0001-95",
        "078-05-1120",
    ],
)
def test_personal_numbers_and_addresses_are_masked_anywhere(text: str) -> None:
    masked = mask_text(f"key ({text}) exists; to={text}, again: {text}.")
    assert masked == "key (***) exists; to=***, again: ***."


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "2026-11-22T03:17:15.090671+00:00",
        "2026-11-22 03:17:15",
        "contact.events.v1 offset 1234567 in 12.5 ms",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_ids_and_instants_are_left_alone(text: str) -> None:
    assert mask_text(text) == text


def test_random_ids_are_never_mangled() -> None:
    ids = [str(uuid4()) for _ in range(2_000)]
    assert [mask_text(each) for each in ids] == ids


@given(st.text(max_size=300))
def test_masking_takes_any_text_and_is_stable(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


def test_masks_for_people() -> None:
    assert mask_phone("+5511987654321") == "***21"
    assert mask_phone("12") == "***"
    assert mask_email("maria@example.com") == "***@example.com"
    assert mask_email("no address") == "***"


def test_a_key_must_be_32_bytes_in_base64() -> None:
    assert key_bytes(base64.b64encode(KEY).decode()) == KEY
    assert len(key_bytes("example-key")) == 32
    for wrong in ("", "short", base64.b64encode(b"k" * 31).decode(), "*" * 44):
        with pytest.raises(ValueError, match="32 random bytes in base64"):
            key_bytes(wrong)


def test_a_sealed_text_opens_in_its_context_only() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal("Olá, você deve R$ 1.120,00", "contact-1")
    assert sealer.open(sealed, "contact-1") == "Olá, você deve R$ 1.120,00"
    assert sealed != sealer.seal("Olá, você deve R$ 1.120,00", "contact-1")
    with pytest.raises(SealBroken):
        sealer.open(sealed, "contact-2")
    with pytest.raises(SealBroken):
        Sealer(OTHER).open(sealed, "contact-1")


def test_an_altered_seal_is_broken_whatever_was_altered() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal("text", "c")
    key_id, _, body = sealed.partition(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for position in range(len(raw)):
        altered = bytearray(raw)
        altered[position] ^= 1
        with pytest.raises(SealBroken):
            sealer.open(f"{key_id}.{base64.urlsafe_b64encode(altered).decode()}", "c")
    for garbage in ("", ".", f"{key_id}.", f"{key_id}.!!!", "text"):
        with pytest.raises(SealBroken):
            sealer.open(garbage, "c")


def test_older_keys_still_open_and_the_newest_seals() -> None:
    old = Sealer(KEY).seal("text", "c")
    rotated = Sealer(OTHER, KEY)
    assert rotated.open(old, "c") == "text"
    assert Sealer(OTHER).open(rotated.seal("text", "c"), "c") == "text"


def test_address_digests_differ_by_key_channel_and_address() -> None:
    digest = address_digest(KEY, "sms", "+5511987654321")
    assert len(digest) == 32
    assert digest == address_digest(KEY, "sms", " +5511987654321 ")
    assert address_digest(KEY, "email", "A@B.co") == address_digest(KEY, "email", "a@b.co")
    different = {
        digest,
        address_digest(OTHER, "sms", "+5511987654321"),
        address_digest(KEY, "whatsapp", "+5511987654321"),
        address_digest(KEY, "sms", "+5511987654322"),
    }
    assert len(different) == 4


def test_an_address_subject_names_tenant_channel_and_digest_only() -> None:
    subject = address_subject(KEY, "acme", "sms", "+5511987654321")
    assert subject == f"address:acme:sms:{address_digest(KEY, 'sms', '+5511987654321')}"


def test_a_keyring_writes_with_the_first_key_and_reads_with_all() -> None:
    old, new = base64.b64encode(KEY).decode(), base64.b64encode(OTHER).decode()
    before = Keyring.parse(f"2025:{old}")
    after = Keyring.parse(f"2026:{new}, 2025:{old}")
    assert after.current_id == "2026"
    assert after.digest("12345678909")[0] == "2026"
    assert before.digest("12345678909") in after.digests("12345678909")
    assert after.digests("12345678909")[0] == after.digest("12345678909")


@pytest.mark.parametrize("text", ["", "a", f":{base64.b64encode(KEY).decode()}", "a:x"])
def test_a_wrong_keyring_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Keyring.parse(text)


def test_a_keyring_refuses_the_same_id_twice() -> None:
    key = base64.b64encode(KEY).decode()
    with pytest.raises(ValueError, match="distinct ids"):
        Keyring.parse(f"a:{key},a:{key}")
