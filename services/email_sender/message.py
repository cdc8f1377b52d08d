"""From a task to an e-mail: neutral subject, text, HTML if the template has it, a way out.

In: a task and its template. Out: an `Email`, or `RenderError`. E-mail is for reminders only: any
other content class is refused. Values are text: flattened to one line in a subject, escaped in
HTML. Every mail tells how to stop: where the template does not place `{unsubscribe_url}`, a line is
added. The link itself belongs to the attempt, so it is filled in when the mail goes out (`text_of`,
`html_of`).
"""

import html
import re

import msgspec

from shared.events.configuration import Template
from shared.events.contact import ContactTask
from shared.sender.errors import PolicyRefusedError, RenderError
from shared.sender.rendering import in_locale, render, text_for

CONTENT_CLASS = "utility"
BODY_CHARS_MAX = 100_000  # of one part, rendered: far below what relays take
SUBJECT_CHARS_MAX = 150  # longer ones are cut off on every screen
NAME_CHARS_MAX = 100  # of a display name
LANGUAGE_CHARS_MAX = 35  # of a language tag
# Where the link goes. A noncharacter, taken out of all values: nothing else can look like it.
LINK = "\ufdd0"
LINK_SHOWN = "[…]"  # what the ledger keeps in its place: the link would let a reader opt out
WAYS_OUT = {
    "pt": "Para não receber mais e-mails sobre este assunto: ",
    "es": "Para no recibir más correos sobre este asunto: ",
    "en": "To stop receiving e-mails about this matter: ",
}
# Unquoted local parts and ASCII domains, as intake stores them; nothing that a header's reader
# would decode as an encoded word.
_ADDRESS = re.compile(
    r"(?!\.)(?!.*\.\.)(?!.*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}(?<!\.)@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
ADDRESS_CHARS_MAX = 254


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """One mail: to whom, in whose name, and its words, with `LINK` where the way out goes."""

    to: str
    from_name: str
    subject: str
    body: str
    markup: str | None
    language: str
    segments: int = 1

    @property
    def text(self) -> str:
        """The words as the debtor reads them, for the ledger."""
        return f"{self.subject}\n\n{self.body.replace(LINK, LINK_SHOWN)}"


def compose(task: ContactTask, template: Template) -> Email:
    """Return the mail of a task; raise `RenderError` when it cannot be one."""
    if not {task.content_class, template.content_class} <= {CONTENT_CLASS}:
        msg = f"e-mail carries reminders only: content class {CONTENT_CLASS}"
        raise PolicyRefusedError(msg)
    if not is_address(task.address):
        msg = "the task's address is not an e-mail address"
        raise RenderError(msg)
    values = {name: _clean(value) for name, value in task.values.items()}
    language = task.locale.replace("_", "-").partition("-")[0].lower()
    way_out = WAYS_OUT.get(language, WAYS_OUT["en"])
    return Email(
        to=task.address,
        from_name=one_line(values.get("creditor_name", ""), NAME_CHARS_MAX),
        subject=_subject(template, task.locale, values),
        body=_body(text_for(template, task.locale), values, way_out),
        markup=_markup(template, task.locale, values, way_out),
        language=one_line(task.locale.replace("_", "-"), LANGUAGE_CHARS_MAX),
    )


def is_address(text: str) -> bool:
    """Say whether a text is an e-mail address that any mail system can carry."""
    return len(text) <= ADDRESS_CHARS_MAX and _ADDRESS.fullmatch(text) is not None


def text_of(email: Email, link: str) -> str:
    """Return the plain part with the link to unsubscribe."""
    return email.body.replace(LINK, link)


def html_of(email: Email, link: str) -> str | None:
    """Return the HTML part with the link, None when the mail has none."""
    return None if email.markup is None else email.markup.replace(LINK, html.escape(link))


def one_line(text: str, chars_max: int) -> str:
    """Return a text fit for a header: one line, nothing unseen in it, cut at `chars_max`.

    Line ends would begin a header, and so would those in an encoded word, which whoever composes or
    reads the header decodes; marks that turn the direction of writing forge what is read.
    """
    seen = "".join([char if char.isprintable() else " " for char in text])
    return " ".join(seen.replace("=?", "= ?").split())[:chars_max].rstrip()


def _clean(value: str) -> str:
    return value.replace(LINK, "").replace("\x00", "")


def _subject(template: Template, locale: str, values: dict[str, str]) -> str:
    rendered = one_line(
        render(in_locale(template.subjects, locale, "subject"), values), SUBJECT_CHARS_MAX
    )
    if not rendered:
        msg = "the rendered subject is empty"
        raise RenderError(msg)
    return rendered


def _body(pattern: str, values: dict[str, str], way_out: str) -> str:
    rendered = render(pattern, values | {"unsubscribe_url": LINK}).strip()
    if not rendered:
        msg = "the rendered text is empty"
        raise RenderError(msg)
    if LINK not in rendered:
        rendered = f"{rendered}\n\n{way_out}{LINK}"
    return _bounded("\n".join(rendered.splitlines()), "text")


def _markup(template: Template, locale: str, values: dict[str, str], way_out: str) -> str | None:
    if not template.html:
        return None
    escaped = {name: html.escape(value) for name, value in values.items()}
    rendered = render(
        in_locale(template.html, locale, "html"), escaped | {"unsubscribe_url": LINK}
    ).strip()
    if LINK not in rendered:
        line = f'<p>{html.escape(way_out)}<a href="{LINK}">{LINK}</a></p>'
        head, body, tail = rendered.rpartition("</body>")
        rendered = f"{head}{line}{body}{tail}" if body else rendered + line
    return _bounded("\n".join(rendered.splitlines()), "html")


def _bounded(rendered: str, what: str) -> str:
    if len(rendered) > BODY_CHARS_MAX:
        msg = f"the rendered {what} has more than {BODY_CHARS_MAX} characters"
        raise RenderError(msg)
    return rendered
