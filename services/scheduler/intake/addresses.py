"""Phones, e-mails and documents in one canonical form each, or refused naming field and remedy.

In: what a client wrote, with the country that gives a national number its meaning. Out: E.164,
lower-cased e-mail, bare document. Nothing here ever repeats the value in an error (promise P9).
"""

import re
from functools import lru_cache

import phonenumbers

from services.scheduler.intake.refusal import wrong

ADDRESS_CHARS_MAX = 254  # RFC 5321's longest e-mail address; phones are far shorter
PHONES_CACHED_MAX = 4096  # a client that repeats itself repeats itself soon
PHONE_CHANNELS = frozenset({"sms", "whatsapp", "voice"})
REPEATED_DIGIT_CHARS_MIN = 3  # "000", "111.111.111-11": placeholders that would merge strangers

# What certainly takes no text message. Where a plan does not tell (North America), it may.
_TEXTLESS = frozenset(
    {
        phonenumbers.PhoneNumberType.FIXED_LINE,
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.UAN,
        phonenumbers.PhoneNumberType.PAGER,
        phonenumbers.PhoneNumberType.VOICEMAIL,
    }
)

# Only what people write in phone numbers; anything else (zero-width marks, letters) is a mistake.
_PHONE = re.compile(r"\+?[0-9 ().\-/]{3,40}")
# Unquoted local parts only: what every mail system we know of accepts; and nothing that a header's
# reader would decode as an encoded word.
_EMAIL = re.compile(
    r"(?!.*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_DOCUMENT = re.compile(r"[0-9A-Za-z./\- ]+")


def contact_address(channel: str, address: str, *, country: str | None, field: str) -> str:
    """Return the canonical address of somebody to be written to; refuse what cannot be reached."""
    canonical = canonical_address(channel, address, country=country, field=field)
    if channel == "sms" and _takes_no_text(canonical):
        raise wrong(
            field,
            "not a mobile number: text messages do not reach it",
            "send a mobile number, or this one with the channel voice",
        )
    return canonical


def canonical_address(channel: str, address: str, *, country: str | None, field: str) -> str:
    """Return the address as it is stored and compared; raise the problem naming `field`."""
    if channel in PHONE_CHANNELS:
        return phone(address, country=country, field=field)
    if channel == "email":
        return email(address, field=field)
    return address


def phone(text: str, *, country: str | None, field: str) -> str:
    """Return E.164; national numbers are read as numbers of `country`, refused without one."""
    number = _e164(text, country) if _PHONE.fullmatch(text) else None
    if number is None:
        raise wrong(
            field, "not a valid phone number", "send E.164, e.g. + and country code, digits only"
        )
    return number


@lru_cache(maxsize=PHONES_CACHED_MAX)
def _e164(text: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=PHONES_CACHED_MAX)
def _takes_no_text(number: str) -> bool:
    return phonenumbers.number_type(phonenumbers.parse(number)) in _TEXTLESS


def email(text: str, *, field: str) -> str:
    """Return the e-mail with a lower-case ASCII domain."""
    local, _, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode().lower() if domain else ""
    except UnicodeError:
        ascii_domain = ""
    address = f"{local}@{ascii_domain}"
    if (
        len(address) > ADDRESS_CHARS_MAX
        or not _EMAIL.fullmatch(address)
        or ".." in local
        or local.startswith(".")
        or local.endswith(".")
    ):
        raise wrong(
            field, "not a valid e-mail address", "send local@domain, no spaces or line ends"
        )
    return address


def document(text: str, *, field: str) -> str:
    """Return letters and digits of an identity document, in upper case."""
    bare = re.sub(r"[^0-9A-Za-z]", "", text).upper() if _DOCUMENT.fullmatch(text) else ""
    if len(bare) < REPEATED_DIGIT_CHARS_MIN or len(set(bare)) == 1:
        raise wrong(
            field,
            "not an identity document",
            "send letters and digits, unmasked; leave the field out when it is not known",
        )
    return bare
