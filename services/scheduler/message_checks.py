"""What templates and sender accounts must satisfy before they are stored.

In: a template or an account, well-formed. Out: nothing, or a problem with field and remedy. Whether
an account's `options` suit its provider is the adapter's to say: it alone knows them.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from services.scheduler.field_checks import (
    check_line,
    check_locale,
    check_one_of,
    check_text,
    wrong,
)
from services.scheduler.intake.addresses import email
from services.scheduler.template_words import check_words
from shared.events.configuration import SenderAccount, Template, is_public

CHANNELS = ("sms", "email", "whatsapp")
ROLES = ("first_party", "third_party")
CONTENT_CLASSES = ("utility", "marketing")
BUTTON_KINDS = ("promise", "pay", "human", "opt_out")
RATE_PER_SECOND_MAX = 100_000.0  # beyond any provider: a typing error
PAIR_RATE_PER_MINUTE_MIN = 1 / 1_440  # once a day to one person; rarer contact is a pack's cap
PAIR_RATE_PER_MINUTE_MAX = 600.0  # ten messages a second to one person: a typing error
DAY_LIMIT_MAX = 100_000_000  # contacts of a day: beyond any account
TEXT_CHARS_MAX = 1_600  # ten SMS segments: what the strictest provider takes at once
EMAIL_CHARS_MAX = 20_000  # of one part of an e-mail; reminders are short, markup is not
SUBJECT_CHARS_MAX = 150  # what mailboxes show in part only
BUTTON_CHARS_MAX = 20  # the shortest limit of the providers
PARAMETERS_MAX = 50  # placeholders of an approved template
OPTIONS_MAX = 20
OPTION_CHARS_MAX = 500
# A subject is read over shoulders and on lock screens: nothing in it tells of a debt.
SUBJECT_VALUES = frozenset({"first_name", "creditor_name", "creditor_contact"})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,512}")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:/[^\x00]{1,500}")
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def check_template(body: Template) -> None:
    """Raise what is wrong with a template."""
    check_one_of(body.channel, CHANNELS, "channel")
    check_one_of(body.content_class, CONTENT_CLASSES, "content_class")
    if not body.texts:
        raise wrong("texts", "no text at all", "add at least one locale")
    email = body.channel == "email"
    _check_texts(body.texts, "texts", EMAIL_CHARS_MAX if email else TEXT_CHARS_MAX)
    if email:
        _check_email(body)
    elif body.subjects or body.html:
        field = "subjects" if body.subjects else "html"
        raise wrong(field, "only e-mail has them", "leave it out, or set channel to email")
    check_words(body)
    _check_approved(body)
    _check_buttons(body)


def _check_email(body: Template) -> None:
    if body.content_class != "utility":
        raise wrong("content_class", "e-mail is for reminders only", "use utility")
    if set(body.subjects) != set(body.texts):
        raise wrong("subjects", "not one subject per locale of texts", "add what is missing")
    for locale, subject in body.subjects.items():
        field = f"subjects.{locale}"
        check_line(subject, field, SUBJECT_CHARS_MAX)
        if not set(_PLACEHOLDER.findall(subject)) <= SUBJECT_VALUES:
            names = ", ".join(sorted(SUBJECT_VALUES))
            raise wrong(field, "not a neutral subject", f"use no placeholder but {names}")
    _check_texts(body.html, "html", EMAIL_CHARS_MAX)
    if not set(body.html) <= set(body.texts):
        raise wrong("html", "a locale without its text", "add the same locale to texts")


def _check_texts(texts: Mapping[str, str], field: str, chars_max: int) -> None:
    for locale, text in texts.items():
        check_locale(locale, field)
        check_text(text, f"{field}.{locale}", chars_max)


def _check_approved(body: Template) -> None:
    """Check what names the template at the provider that approved it."""
    if body.provider_name is not None and not _PROVIDER_NAME.fullmatch(body.provider_name):
        raise wrong("provider_name", "not a template's name", "use letters, digits and _ . : -")
    for locale, code in body.provider_locales.items():
        check_locale(locale, "provider_locales")
        check_locale(code, f"provider_locales.{locale}")
    if len(body.parameters) > PARAMETERS_MAX:
        raise wrong("parameters", f"more than {PARAMETERS_MAX}", "shorten the template")
    for number, name in enumerate(body.parameters):
        if not _NAME.fullmatch(name):
            raise wrong(f"parameters[{number}]", "not a value's name", "e.g. first_name")


def _check_buttons(body: Template) -> None:
    kinds = [button.kind for button in body.buttons]
    for number, button in enumerate(body.buttons):
        field = f"buttons[{number}]"
        check_one_of(button.kind, BUTTON_KINDS, f"{field}.kind")
        if kinds.count(button.kind) > 1:
            raise wrong(f"{field}.kind", "two buttons of one kind", "keep one of them")
        if not button.titles:
            raise wrong(f"{field}.titles", "no title at all", "add one per locale of texts")
        for locale, title in button.titles.items():
            check_locale(locale, f"{field}.titles")
            check_line(title, f"{field}.titles.{locale}", BUTTON_CHARS_MAX)


def check_account(body: SenderAccount, *, sandbox: bool) -> None:
    """Raise what is wrong with a sender account."""
    check_one_of(body.channel, CHANNELS, "channel")
    check_text(body.provider, "provider", 50)
    check_line(body.sender, "sender", 254)
    if body.channel == "email":
        email(body.sender, field="sender")
    _check_limits(body)
    _check_credentials(body.credentials)
    if body.base_url is not None:
        _check_address(body.base_url, body.channel, sandbox=sandbox)
    for number, role in enumerate(body.roles):
        check_one_of(role, ROLES, f"roles[{number}]")
    if len(body.options) > OPTIONS_MAX:
        raise wrong("options", f"more than {OPTIONS_MAX}", "leave out what is not an option")
    for name, value in body.options.items():
        if not _NAME.fullmatch(name):
            raise wrong("options", "not the name of an option", "e.g. reply_to")
        check_line(value, f"options.{name}", OPTION_CHARS_MAX)


def _check_credentials(credentials: Mapping[str, str]) -> None:
    for name, reference in credentials.items():
        if not is_public(name) and not _REFERENCE.fullmatch(reference):
            raise wrong(
                f"credentials.{name}",
                "not a reference to a secret",
                "send env:NAME or file:/path; secrets themselves are never stored",
            )


def _check_limits(body: SenderAccount) -> None:
    if not 0 < body.rate_per_second <= RATE_PER_SECOND_MAX:
        raise wrong("rate_per_second", "not a rate", "send contacts per second, above 0")
    pair = body.pair_rate_per_minute
    if pair is not None and not PAIR_RATE_PER_MINUTE_MIN <= pair <= PAIR_RATE_PER_MINUTE_MAX:
        remedy = "send contacts per minute to one person, one a day (0.0007) or more often"
        raise wrong("pair_rate_per_minute", "not a rate", remedy)
    if body.day_limit is not None and not 0 < body.day_limit <= DAY_LIMIT_MAX:
        raise wrong("day_limit", "not a number of contacts", "send a whole number above 0")


def _check_address(text: str, channel: str, *, sandbox: bool) -> None:
    """Raise unless a provider can be called there; a user or password in it would be a secret."""
    mail = {"smtp", "smtps"} if channel == "email" else set()
    schemes = {"https"} | mail | ({"http"} if sandbox else set())
    try:
        url = urlsplit(text)
        plain = url.username is None and not url.query and not url.fragment and url.port != 0
        fit = plain and bool(url.hostname) and url.scheme in schemes
    except ValueError:
        fit = False
    if not fit:
        remedy = "send https://host[:port][/path]"
        raise wrong("base_url", "not an https address", f"{remedy}{', or smtp://' * bool(mail)}")
