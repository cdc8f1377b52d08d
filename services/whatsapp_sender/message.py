"""From a task to a WhatsApp message: an approved template with its parameters, or free text.

In: a task and its template. Out: a `WhatsAppMessage`, or `RenderError`. A template that names one
at the provider (`provider_name`) goes out as that one: its parameters are exactly the placeholders
of our text, none missing and none too many, each in a form that the provider takes. Any other goes
out as free text, with buttons when it has some; the sender sends that in the service window only.
"""

import re

import msgspec

from shared.events.configuration import Template
from shared.events.contact import ContactTask
from shared.sender.errors import RenderError
from shared.sender.rendering import in_locale, names_in, render, text_for

FREE_TEXT_CHARS_MAX = 4_096
WITH_BUTTONS_CHARS_MAX = 1_024  # body of an interactive message, and of a template
PARAMETER_CHARS_MAX = 1_024
BUTTONS_MAX = 3  # of an interactive message; templates take more, people do not read them
TITLE_CHARS_MAX = 20
SPACES_MAX = 4  # in a row, inside a parameter
_PHONE = re.compile(r"\+[1-9]\d{6,14}")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")  # business-scoped, for usernames
_TEMPLATE_NAME = re.compile(r"[a-z0-9_]{1,512}")
_UNFIT = re.compile(rf"[\n\t\r]| {{{SPACES_MAX + 1}}}")  # what no parameter may contain


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """An approved template as the provider knows it, with its parameters in order."""

    name: str
    language: str
    parameters: tuple[str, ...]


class ReplyButton(msgspec.Struct, frozen=True, kw_only=True):
    """A button under the message: what it means (`Button.kind`) and what it says."""

    kind: str
    title: str


class WhatsAppMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message: to whom, its words as they are read, and how it goes out.

    `approved` None means free text, which is for the service window alone. `segments` is always 1:
    providers bill whole messages.
    """

    to: str
    text: str
    approved: Approved | None = None
    buttons: tuple[ReplyButton, ...] = ()
    segments: int = 1


def compose(task: ContactTask, template: Template) -> WhatsAppMessage:
    """Return the message of a task; raise `RenderError` when it cannot be one."""
    if not _PHONE.fullmatch(task.address) and not is_user_id(task.address):
        raise RenderError("the task's address is neither an E.164 number nor a user id")
    pattern = text_for(template, task.locale)
    text = render(pattern, task.values).strip()
    if not text:
        raise RenderError("the rendered text is empty")
    free = template.provider_name is None and not template.buttons
    longest = FREE_TEXT_CHARS_MAX if free else WITH_BUTTONS_CHARS_MAX
    if len(text) > longest:
        raise RenderError(f"the rendered text has more than {longest} characters")
    return WhatsAppMessage(
        to=task.address,
        text=text,
        approved=_approved(task, template, pattern) if template.provider_name else None,
        buttons=_buttons(task, template),
    )


def is_user_id(address: str) -> bool:
    """Say whether an address is a business-scoped user id rather than a number."""
    return _USER_ID.fullmatch(address) is not None


def _approved(task: ContactTask, template: Template, pattern: str) -> Approved:
    name = template.provider_name or ""
    if not _TEMPLATE_NAME.fullmatch(name):
        raise RenderError("provider_name is not a template's name: use a-z, 0-9 and _")
    _check_names(names_in(pattern), template.parameters)
    language = in_locale(template.provider_locales, task.locale, "provider_locales entry")
    return Approved(
        name=name,
        language=language.replace("-", "_"),
        parameters=tuple(_parameter(task, each) for each in template.parameters),
    )


def _check_names(placeholders: frozenset[str], parameters: tuple[str, ...]) -> None:
    """Raise unless the parameters are the text's placeholders, each of them once."""
    if missing := sorted(placeholders - set(parameters)):
        raise RenderError(f"parameters lacks the placeholder {missing[0]} of the text")
    if extra := sorted(set(parameters) - placeholders):
        raise RenderError(f"parameters names {extra[0]}, which the text does not have")
    if len(parameters) != len(set(parameters)):
        raise RenderError("parameters names a placeholder twice")


def _parameter(task: ContactTask, name: str) -> str:
    if name not in task.values:
        raise RenderError(f"the task has no value for the parameter {name}")
    value = task.values[name].strip()
    if not value or len(value) > PARAMETER_CHARS_MAX:
        raise RenderError(f"the parameter {name} needs 1 to {PARAMETER_CHARS_MAX} characters")
    if _UNFIT.search(value):
        raise RenderError(f"the parameter {name} has a line break, a tab or five spaces in a row")
    return value


def _buttons(task: ContactTask, template: Template) -> tuple[ReplyButton, ...]:
    if len(template.buttons) > BUTTONS_MAX:
        raise RenderError(f"the template has more than {BUTTONS_MAX} buttons")
    made = []
    for button in template.buttons:
        title = in_locale(button.titles, task.locale, "button title").strip()
        if not title or len(title) > TITLE_CHARS_MAX:
            raise RenderError(f"a button's title needs 1 to {TITLE_CHARS_MAX} characters")
        made.append(ReplyButton(kind=button.kind, title=title))
    return tuple(made)
