"""From a task to a text message: words, alphabet, number of segments.

In: a task and its template. Out: an `SmsMessage`, or `RenderError`. GSM 03.38 texts carry
160 characters (153 when split, extended ones count twice), all others UCS-2 with 70 (67 when
split). Addresses are E.164 already: intake saw to it.
"""

import re

import msgspec

from shared.events.configuration import Template
from shared.events.contact import ContactTask
from shared.sender.errors import RenderError
from shared.sender.rendering import render, text_for

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("\f^{}\\[~]|€")  # two septets each
_GSM = GSM_BASIC | GSM_EXTENDED
GSM_SINGLE, GSM_PART = 160, 153  # septets of one message, and of each part of a split one
BASIC_PLANE_LAST = "\uffff"  # characters beyond it take two UTF-16 units
UCS2_SINGLE, UCS2_PART = 70, 67  # UTF-16 units, likewise
TEXT_CHARS_MAX = 1_600  # what providers take in one request
_E164 = re.compile(r"\+[1-9]\d{6,14}")


class SmsMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message: to whom, what, and how many segments the carrier counts."""

    to: str
    text: str
    segments: int


def compose(task: ContactTask, template: Template) -> SmsMessage:
    """Return the message of a task; raise `RenderError` when it cannot be one."""
    if _E164.fullmatch(task.address) is None:
        msg = "the task's address is not an E.164 phone number"
        raise RenderError(msg)
    rendered = render(text_for(template, task.locale), task.values).strip()
    if not rendered:
        msg = "the rendered text is empty"
        raise RenderError(msg)
    if len(rendered) > TEXT_CHARS_MAX:
        msg = f"the rendered text has more than {TEXT_CHARS_MAX} characters"
        raise RenderError(msg)
    return SmsMessage(to=task.address, text=rendered, segments=segments_of(rendered))


def segments_of(text: str) -> int:
    """Return how many segments a text takes; a character is never split over two."""
    if GSM_BASIC.issuperset(text):
        return 1 if len(text) <= GSM_SINGLE else -(-len(text) // GSM_PART)
    if _GSM.issuperset(text):
        sizes = [2 if char in GSM_EXTENDED else 1 for char in text]
        return _parts(sizes, GSM_SINGLE, GSM_PART)
    if max(text) <= BASIC_PLANE_LAST:
        return 1 if len(text) <= UCS2_SINGLE else -(-len(text) // UCS2_PART)
    sizes = [2 if char > BASIC_PLANE_LAST else 1 for char in text]
    return _parts(sizes, UCS2_SINGLE, UCS2_PART)


def _parts(sizes: list[int], single: int, part: int) -> int:
    if sum(sizes) <= single:
        return 1
    parts, room = 1, part
    for size in sizes:
        if size > room:
            parts, room = parts + 1, part
        room -= size
    return parts
