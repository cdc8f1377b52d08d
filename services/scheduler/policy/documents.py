"""YAML documents of analysts (ladders, packs): read strictly, with the line of every mistake.

In: text. Out: a struct, or `PolicyError` with line, field and remedy. Unknown and repeated fields,
aliases (they can blow up a small file) and oversized texts are refused.
"""

import re
from typing import Any, TypeVar

import msgspec
import yaml

from services.scheduler.policy.rulebook import PolicyError

TEXT_CHARS_MAX = 262_144  # a ladder of 100 steps needs about 40,000
NODES_MAX = 20_000  # wide beyond any real ladder
DEPTH_MAX = 20  # the deepest pack has 5 levels; the parser's time grows with their square
KEY_SHAPE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

Path = tuple[str, ...]
T = TypeVar("T", bound=msgspec.Struct)

_PATH_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


class Lines:
    """Where each field of a document stands: path to line number, from 1."""

    def __init__(self, text: str) -> None:
        """Walk the document once; raise `PolicyError` when it is not plain YAML."""
        self._lines: dict[Path, int] = {(): 1}
        self._nodes = 0
        if len(text) > TEXT_CHARS_MAX:
            raise PolicyError(
                "document is too long",
                line=1,
                field="$",
                remedy=f"keep it below {TEXT_CHARS_MAX} characters",
            )
        try:
            self._refuse_tricks(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            if root is not None:
                self._walk(root, ())
        except yaml.YAMLError as error:
            raise PolicyError(
                "this is not YAML", line=_line_of(error), field="$", remedy=_advice_of(error)
            ) from error

    def at(self, line: int) -> str:
        """Return the innermost field that begins on a line, `$` when none does."""
        found: Path = ()
        for path, number in self._lines.items():
            if number == line and len(path) > len(found):
                found = path
        return ".".join(found) or "$"

    def of(self, *path: str) -> int:
        """Return the line of a field, or of its nearest parent that is there."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def error(self, message: str, *path: str, remedy: str) -> PolicyError:
        """Make the error for the field at `path`."""
        field = ".".join(path) or "$"
        return PolicyError(message, line=self.of(*path), field=field, remedy=remedy)

    def _refuse_tricks(self, text: str) -> None:
        """Refuse what can blow up a small text, before anything is built from it."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent):
                raise PolicyError(
                    "aliases are not allowed", line=line, field="$", remedy="write the value out"
                )
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEPTH_MAX:
                raise PolicyError(
                    "document is nested too deeply", line=line, field="$", remedy="remove levels"
                )

    def _walk(self, node: yaml.Node, path: Path) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise PolicyError(
                "document has too many values", line=1, field="$", remedy="split it into several"
            )
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                below = (*path, key.value if isinstance(key, yaml.ScalarNode) else "?")
                if below in self._lines:
                    raise PolicyError(
                        "field is given twice",
                        line=key.start_mark.line + 1,
                        field=".".join(below),
                        remedy="keep one of the two",
                    )
                self._lines[below] = key.start_mark.line + 1
                self._walk(value, below)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*path, str(index)))


class _PlainLoader(yaml.SafeLoader):
    """Builds plain data; a value that has no meaning (the 31st of June) has its place too."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - theirs
        """Build one value; raise `ConstructorError` with its mark, whatever is wrong with it."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, "this date or number does not exist", node.start_mark
            ) from error


def read(text: str, shape: type[T]) -> tuple[T, Lines]:
    """Read a document into `shape` (which forbids unknown fields); raise `PolicyError`."""
    lines = Lines(text)
    try:
        raw: Any = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a stricter SafeLoader
    except yaml.YAMLError as error:
        line = _line_of(error)
        raise PolicyError(
            "this value cannot be read", line=line, field=lines.at(line), remedy=_advice_of(error)
        ) from error
    try:
        return msgspec.convert(raw, shape), lines
    except msgspec.ValidationError as error:
        raise _located(str(error), lines) from error


def check_key(value: str, lines: Lines, *path: str) -> None:
    """Raise `PolicyError` unless the value can serve as a stable key."""
    if not KEY_SHAPE.fullmatch(value):
        raise lines.error(
            "a key has lower-case letters, digits and dashes", *path, remedy="rename it, once"
        )


def check_choice(value: str, allowed: tuple[str, ...], lines: Lines, *path: str) -> None:
    """Raise `PolicyError` unless the value is one of `allowed`."""
    if value not in allowed:
        raise lines.error("value is not known", *path, remedy=f"use one of: {', '.join(allowed)}")


def _line_of(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1


def _advice_of(error: yaml.YAMLError) -> str:
    """Say what to do; the library's own words name what it met, except for tags."""
    problem = getattr(error, "problem", None)
    if isinstance(error, yaml.constructor.ConstructorError) and "tag" in str(problem):
        return "use mappings, lists, texts and numbers without tags"
    return str(problem or "check indentation and quotes")


def _located(message: str, lines: Lines) -> PolicyError:
    """Turn msgspec's path into a line; `[...]` (a dictionary value) points to its parent."""
    what, _, where = message.partition(" - at `")
    parts = [a or b for a, b in _PATH_PART.findall(where.rstrip("`"))]
    unknown = _UNKNOWN.search(what)
    if unknown:
        parts.append(unknown.group(1))
    path = tuple(part for part in parts if part != "...")
    remedy = "remove it or correct its name" if unknown else "correct the value"
    if "missing required field" in what:
        remedy = "add it; the shipped files show its form"
    return lines.error(what[:1].lower() + what[1:], *path, remedy=remedy)
