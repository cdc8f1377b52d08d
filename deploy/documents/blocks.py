"""Generated blocks inside Markdown: found by their markers, replaced whole.

In: a document's text and the tables by name. Out: the text with every block renewed. A marker that
names no table, or never ends, is an error that says which.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^<!-- generated: (?P<name>[\w.]+) -->\n(?P<body>.*?)^<!-- end -->$", re.DOTALL | re.MULTILINE
)
OPENING = re.compile(r"^<!-- generated: ", re.MULTILINE)
SKIPPED = ("build", "dist")  # and whatever starts with a dot


class BadBlock(ValueError):
    """A marker that cannot be followed; the text says which and why."""


def documents() -> Iterator[Path]:
    """Every Markdown file of ours."""
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts
        if not any(part.startswith(".") or part in SKIPPED for part in parts):
            yield path


def blocks(text: str) -> dict[str, str]:
    """Return the generated blocks of a document, by name."""
    found = {match["name"]: match["body"] for match in BLOCK.finditer(text)}
    if len(OPENING.findall(text)) != len(found):
        raise BadBlock("a generated block repeats a name, or lacks its `<!-- end -->`")
    return found


def renewed(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Return the document with each generated block as the code has it now."""
    unknown = blocks(text).keys() - tables.keys()
    if unknown:
        raise BadBlock(f"no table is called {', '.join(sorted(unknown))}")

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- generated: {name} -->\n{tables[name]()}<!-- end -->"

    return BLOCK.sub(replaced, text)
