"""What a person wrote in a reply, without what they quoted: above all without our own words.

In: the parts of a mail. Out: the new text, bounded. Our mails tell how to opt out; read along with
the answer, that line would make every reply an opt-out. Everything is one pass over lines: a mail
comes from strangers, and no pattern here can be made to backtrack.
"""

import re
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser

from shared.sender.replies import is_opt_out

PART_CHARS_MAX = 100_000  # of a part that is looked at; people write less
TEXT_CHARS_MAX = 4_000  # of the new text that is kept
MARKER_CHARS_MAX = 300  # a longer line introduces no quotation
HEADER_LINES = 4  # a quoted header names sender and date or subject so close together

_ATTRIBUTION_START = re.compile(r"(?:on|em|el|le|no dia|a|at)\b", re.IGNORECASE)
_ATTRIBUTION_END = re.compile(
    r"(?:wrote|escreveu|escribi[oó]|a écrit|writes|disse)\s?:\s*$", re.IGNORECASE
)
_SEPARATOR = re.compile(
    r"\s*(?:-{2,}\s?(?:original message|mensagem original|mensaje original|forwarded message"
    r"|mensagem encaminhada|mensaje reenviado)|_{20,}\s*$|-- ?$)",
    re.IGNORECASE,
)
_FIRST_HEADER = re.compile(r"\W{0,3}(?:from|de|von)\W{0,3}:", re.IGNORECASE)
_NEXT_HEADER = re.compile(
    r"\W{0,3}(?:sent|date|to|subject|enviad[oa]|data|para|assunto|fecha|asunto)\b.{0,20}:",
    re.IGNORECASE,
)
_PROGRAM = re.compile(
    r"\s*(?:sent from|enviad[oa] d[eo]|enviado desde|get outlook|obter o outlook"
    r"|obtener outlook)\b.{0,60}$",
    re.IGNORECASE,
)
_REPLYING = re.compile(r"\s*(?:re|res|rv|fw|fwd|enc|aw|tr)\s?(?:\[\d+\])?:", re.IGNORECASE)
_SPACE = re.compile(r"[^\S\n]+")


def written(message: Message, subject: str) -> str:
    """Return what the person wrote; the subject counts when it is theirs and not an answer's.

    A wish to be left alone stands by itself wherever it is: "STOP" below a greeting is one.
    """
    text = new_text(text_of(message))
    own = "" if _REPLYING.match(subject) else subject
    for each in (text, own):
        if is_opt_out(each):
            return each[:TEXT_CHARS_MAX]
    return f"{own}\n{text}".strip()[:TEXT_CHARS_MAX]


def new_text(text: str) -> str:
    """Return the lines before and between quotations."""
    lines = text.splitlines()
    kept = []
    for number, line in enumerate(lines):
        if line.lstrip().startswith(">"):
            continue
        if _begins_quotation(lines, number):
            break
        kept.append(line.rstrip())
    return "\n".join(kept).strip()


def text_of(message: Message) -> str:
    """Return the first plain part, else the first HTML part as text, else nothing."""
    plain, markup = None, None
    for part in message.walk():
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        kind = part.get_content_type()
        if kind == "text/plain" and plain is None:
            plain = _decoded(part)
        elif kind == "text/html" and markup is None:
            markup = _decoded(part)
    if plain is not None and plain.strip():
        return plain
    return shown(markup) if markup is not None else ""


def shown(markup: str) -> str:
    """Return what an HTML part shows, without quotations."""
    reader = _Shown()
    reader.feed(markup)
    reader.close()
    return _SPACE.sub(" ", "".join(reader.kept))


def _begins_quotation(lines: list[str], number: int) -> bool:
    line = lines[number]
    if len(line) > MARKER_CHARS_MAX or not line.strip():
        return False
    if _SEPARATOR.match(line) or _PROGRAM.match(line):
        return True
    if _FIRST_HEADER.match(line):
        following = lines[number + 1 : number + HEADER_LINES]
        return any(_NEXT_HEADER.match(each[:MARKER_CHARS_MAX]) for each in following)
    if _ATTRIBUTION_START.match(line.lstrip()):
        # Mail programs break the line at 78 characters: "… wrote:" may stand on the next one.
        joined = " ".join(lines[number : number + 2])[-MARKER_CHARS_MAX:]
        return bool(_ATTRIBUTION_END.search(line) or _ATTRIBUTION_END.search(joined))
    return False


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        text = payload.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a charset that nobody knows
        text = payload.decode("utf-8", "replace")
    return text[:PART_CHARS_MAX]


class _Shown(HTMLParser):
    """Keeps text; drops quotations, styles and scripts."""

    UNSEEN = frozenset({"blockquote", "style", "script", "head", "title"})
    BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3"})
    EMPTY = frozenset({"br", "img", "hr", "meta", "link", "input"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self._open: list[tuple[str, bool]] = []  # (element, whether it began the unseen)
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        if tag in self.BLOCKS:
            self.kept.append("\n")
        if tag in self.EMPTY:
            return
        quoted = any(
            name == "class" and "gmail_quote" in (value or "").split() for name, value in attrs
        )
        begins = tag in self.UNSEEN or quoted
        self._unseen += begins
        self._open.append((tag, begins))

    def handle_endtag(self, tag: str) -> None:
        """Close an element, and what was left open in it."""
        if tag not in {name for name, _ in self._recent()}:
            return
        while self._open:
            name, began = self._open.pop()
            self._unseen -= began
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Keep what is seen."""
        if not self._unseen:
            self.kept.append(data)

    def _recent(self) -> Iterator[tuple[str, bool]]:
        """Look back so far only: else elements never closed would make this quadratic."""
        return iter(self._open[-64:])
