"""What a template says, compiled when it is stored: a broken one must never reach a debtor's turn.

In: a template of well-formed fields. Out: nothing, or a problem naming text, locale and remedy:
placeholders that cannot be read or that no contact has a value for, parameters that are not the
text's placeholders, locales that the provider was not told of, subjects that speak of a debt.
"""

import re
from collections.abc import Mapping

from services.scheduler.field_checks import wrong
from services.scheduler.policy.values import VALUE_NAMES
from shared.events.configuration import Template
from shared.sender.errors import RenderError
from shared.sender.rendering import names_in

# What a channel fills in besides the values of a contact.
OWN_VALUES: Mapping[str, frozenset[str]] = {"email": frozenset({"unsubscribe_url"})}
# A subject is read over shoulders and on lock screens.
DEBT_WORDS = re.compile(
    r"\b(d[ií]vid|d[ée]bit|cobran|vencid|atrasad|inadimpl|negativa[çd]|protest"
    r"|debt|overdue|past[ -]due|collect|owe|deud|moros|impag|adeud)",
    re.IGNORECASE,
)


def check_words(body: Template) -> None:
    """Raise what is wrong with a template's texts."""
    known = frozenset(VALUE_NAMES) | OWN_VALUES.get(body.channel, frozenset())
    for field in ("texts", "subjects", "html"):
        for locale, text in getattr(body, field).items():
            _check_names(_names(text, f"{field}.{locale}"), known, f"{field}.{locale}")
    for locale, subject in body.subjects.items():
        if DEBT_WORDS.search(subject):
            remedy = "keep it neutral, e.g. A message from {creditor_name}"
            raise wrong(f"subjects.{locale}", "a subject that speaks of a debt", remedy)
    if body.provider_name is not None:
        _check_parameters(body)


def _names(text: str, field: str) -> frozenset[str]:
    try:
        return names_in(text)
    except RenderError as error:
        raise wrong(field, str(error), "write {name}, and {{ or }} for a brace") from None


def _check_names(names: frozenset[str], known: frozenset[str], field: str) -> None:
    unknown = sorted(names - known)
    if unknown:
        remedy = f"use some of {', '.join(sorted(known))}"
        raise wrong(field, f"no contact has a value called {unknown[0]}", remedy)


def _check_parameters(body: Template) -> None:
    """The provider fills its approved text by position: every locale must say the same values."""
    given = set(body.parameters)
    if len(given) < len(body.parameters):
        raise wrong("parameters", "a name is given twice", "name each placeholder once")
    for locale, text in body.texts.items():
        names = names_in(text)
        if missing := sorted(names - given):
            detail = f"lacks {missing[0]} of texts.{locale}"
            raise wrong("parameters", detail, "name every placeholder, in the provider's order")
        if extra := sorted(given - names):
            detail = f"names {extra[0]}, which texts.{locale} does not have"
            raise wrong("parameters", detail, "leave it out, or use it in the text")
        if locale not in body.provider_locales:
            detail = f"does not say what the provider calls {locale}"
            raise wrong("provider_locales", detail, "e.g. pt-BR: pt_BR")
