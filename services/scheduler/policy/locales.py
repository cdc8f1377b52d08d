"""Locales: which text of a template speaks a language.

In: a template, a language tag. Out: the tag of its text, exact or of the same language.
"""

from shared.events.configuration import Template


def language_of(locale: str) -> str:
    """Return the language of a locale: pt for pt-BR."""
    return locale.replace("_", "-").split("-")[0].lower()


def text_locale(template: Template, wanted: str) -> str | None:
    """Return the locale of the template's text for a wanted one; None when none speaks it."""
    if wanted in template.texts:
        return wanted
    language = language_of(wanted)
    for locale in sorted(template.texts):
        if language_of(locale) == language:
            return locale
    return None
