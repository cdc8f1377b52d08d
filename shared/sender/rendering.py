"""Filling a template from a task: strict, and nothing is ever evaluated.

In: a template's text with `{name}` placeholders, and the task's values. Out: the text as the
debtor reads it, or `RenderError`. `{{` and `}}` stand for braces; values are inserted as they are
and never looked at again, so a value that contains template syntax is only text.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from shared.events.configuration import Template
from shared.sender.errors import RenderError

TEMPLATES_CACHED_MAX = 4_096  # every text of a large tenant; compiled once, a few kB each
_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")

Part = tuple[bool, str]  # (is a placeholder, its name or the literal text)


def text_for(template: Template, locale: str) -> str:
    """Return the template's text for a locale, else for its language, else raise `RenderError`."""
    return in_locale(template.texts, locale, "text")


def in_locale(texts: Mapping[str, str], locale: str, what: str) -> str:
    """Return the entry for a locale, else for its language; `what` names it in `RenderError`."""
    wanted = locale.replace("_", "-").lower()
    language = wanted.partition("-")[0]
    fallback: str | None = None
    for name, text in texts.items():
        have = name.replace("_", "-").lower()
        if have == wanted:
            return text
        if fallback is None and have.partition("-")[0] == language:
            fallback = text
    if fallback is None:
        msg = f"the template has no {what} for the language {language or '(none)'}"
        raise RenderError(msg)
    return fallback


def render(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its placeholders filled; raise `RenderError` naming what is missing."""
    parts = _parsed(text)
    try:
        return "".join([values[part] if placeholder else part for placeholder, part in parts])
    except KeyError as error:
        msg = f"the task has no value for the placeholder {error.args[0]}"
        raise RenderError(msg) from None


def names_in(text: str) -> frozenset[str]:
    """Return the names of a text's placeholders."""
    return frozenset(part for placeholder, part in _parsed(text) if placeholder)


@lru_cache(maxsize=TEMPLATES_CACHED_MAX)
def _parsed(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    position = 0
    for match in _TOKEN.finditer(text):
        if match.start() > position:
            parts.append((False, text[position : match.start()]))
        position = match.end()
        token = match.group()
        if token in {"{{", "}}"}:
            parts.append((False, token[0]))
        elif match[1] is None:
            msg = f"the template has a lone brace at character {match.start()}"
            raise RenderError(msg)
        else:
            parts.append((True, match[1]))
    parts.append((False, text[position:]))
    return tuple(parts)
