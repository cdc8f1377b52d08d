"""What an HTML part of a mail shows, without what it quotes.

In: markup by strangers. Out: its text. One pass over tags, linear in their number whatever is left
open: `html.parser` looks for the end of each tag and comment anew, and takes minutes for 200 KB of
beginnings. What is quoted leaves a line of its own, so that a line that introduces it is known.
"""

import re
from collections.abc import Iterator
from html import unescape

UNSEEN = frozenset({"style", "script", "head", "title"})
QUOTED = "blockquote"
QUOTATION = "\n>\n"  # stands for what was quoted
BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3"})
EMPTY = frozenset({"br", "img", "hr", "meta", "link", "input"})
ATTRIBUTES_CHARS_MAX = 1_000  # of a tag, where its class stands
OPEN_MAX = 64  # elements that an end tag may close: tags never closed must not be searched for ever
# A tag ends where the next one begins, at the latest, and not at a `>` between quotes that match;
# declarations and conditions show nothing. Nothing here is given back once it is taken.
_TAG = re.compile(
    r"<(?:(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*+)|[!?])"
    r"""(?P<rest>(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+(?=>)|[^<>]*+)>"""
)
_COMMENT_END = re.compile(r"--!?>")
_QUOTING_CLASS = re.compile(r"""\bclass\s?=\s?["']?[^"'<>=]{0,100}\bgmail_quote\b""", re.IGNORECASE)
_SPACE = re.compile(r"[^\S\n]+")


def shown(markup: str) -> str:
    """Return what an HTML part shows; quotations as lines that begin with `>`."""
    reader = _Shown()
    at = 0
    text = "".join(_without_comments(markup))
    for tag in _TAG.finditer(text):
        reader.data(text[at : tag.start()])
        at = tag.end()
        name = (tag["name"] or "").lower()
        if tag["end"]:
            reader.close(name)
        elif name:
            reader.open(name, tag["rest"])
    reader.data(text[at:])
    return _SPACE.sub(" ", unescape("".join(reader.kept)))


def _without_comments(markup: str) -> Iterator[str]:
    """Return what stands outside comments; one that is begun in another is part of it."""
    first, *comments = markup.split("<!--")
    yield first
    for each in comments:
        if each.startswith((">", "->")):  # `<!-->` is a whole comment, and ends one that is open
            yield each.partition(">")[2]
        elif end := _COMMENT_END.search(each):
            yield each[end.end() :]


class _Shown:
    """Keeps text; drops quotations, styles and scripts."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self._open: list[tuple[str, bool]] = []  # (element, whether it began the unseen)
        self._unseen = 0

    def open(self, name: str, rest: str) -> None:
        """Open an element."""
        if name in BLOCKS:
            self.kept.append("\n")
        if name in EMPTY or rest.endswith("/"):
            return
        quoted = name == QUOTED or bool(_QUOTING_CLASS.search(rest[:ATTRIBUTES_CHARS_MAX]))
        if quoted and not self._unseen:
            self.kept.append(QUOTATION)
        begins = quoted or name in UNSEEN
        self._unseen += begins
        self._open.append((name, begins))

    def close(self, name: str) -> None:
        """Close an element, and what was left open in it."""
        if name not in {each for each, _ in self._open[-OPEN_MAX:]}:
            return
        while self._open:
            each, began = self._open.pop()
            self._unseen -= began
            if each == name:
                return

    def data(self, text: str) -> None:
        """Keep what is seen."""
        if not self._unseen:
            self.kept.append(text)
