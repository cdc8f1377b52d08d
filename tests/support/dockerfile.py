"""A Dockerfile as instructions, for a test that does what a builder would do with them.

In: the text of a Dockerfile (no heredocs, no escape directive). Out: its stages, each with its
instructions in order, continuation lines joined, comments gone, build arguments filled in.
"""

import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One line of a stage: `RUN`, `COPY`, … and what follows."""

    word: str
    text: str


class Stage(NamedTuple):
    """What begins with FROM: the image it stands on, its name, and what is done to it."""

    image: str
    name: str
    instructions: list[Instruction]


def stages(path: Path) -> list[Stage]:
    """Read a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, text = line.partition(" ")
        text = re.sub(r"\$\{(\w+)\}", lambda hit: arguments.get(hit[1], hit[0]), text.strip())
        if word == "FROM":
            image, _, name = text.partition(" AS ")
            found.append(Stage(image, name, []))
        elif word == "ARG":
            name, _, value = text.partition("=")
            arguments[name] = value
        else:
            found[-1].instructions.append(Instruction(word, text))
    return found


def environment(text: str) -> dict[str, str]:
    """Read what an ENV instruction sets."""
    return dict(pair.split("=", 1) for pair in text.split())
