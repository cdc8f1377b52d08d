"""The README's examples, as a newcomer would run them: shell blocks, and what they should print.

In: README.md, the section "Try it". Out: `Example`s in order. An answer is shortened with `…`: what
stands between must appear in what the shell printed, in that order. Where a reader waits a few
seconds (`sleep`), a run waits until the platform has nothing pending.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from tests.support.tree import ROOT

END_OF_EXAMPLE = "--- end of example ---"
SHELL = ("bash", "-e", "-u", "-o", "pipefail", "-c")
SHELL_SECONDS_MAX = 180.0  # ten examples, one of which posts some sixty debts
WAIT = f'sleep() {{ "{sys.executable}" -m tests.support.readme; }}\n'
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1
QUIET_LOOKS = 20  # two quiet seconds: receipts come from outside, in the provider's own time
SECTION = re.compile(r"^## Try it$(?P<text>.*?)^## ", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(
    r"^```sh\n(?P<script>.*?)^```\n(?:```(?:json|text)\n(?P<answer>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One shell block and the answer shown under it."""

    script: str
    answer: str

    def missing(self, printed: str) -> str | None:
        """The first part of the answer that was not printed where it should be; None if all was."""
        at = 0
        for part in re.split(r"…|\n", self.answer):
            found = printed.find(part.strip(), at)
            if found < 0:
                return part
            at = found + len(part.strip())
        return None


def examples() -> list[Example]:
    """The examples of the README, in order."""
    section = SECTION.search((ROOT / "README.md").read_text())
    text = section["text"] if section else ""
    return [
        Example(script=block["script"], answer=block["answer"] or "")
        for block in BLOCK.finditer(text)
    ]


def run(wanted: Sequence[Example], folder: str) -> list[str]:
    """Run the examples in one shell; `.regua/` in them is `folder`. Return what each said."""
    lines = [f"{example.script}\necho\necho '{END_OF_EXAMPLE}'\n" for example in wanted]
    done = subprocess.run(
        [*SHELL, WAIT + "".join(lines).replace(".regua/", f"{folder}/")],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SHELL_SECONDS_MAX,
    )
    said = done.stdout.split(END_OF_EXAMPLE)
    if done.returncode != 0 or len(said) != len(wanted) + 1:
        msg = f"example {len(said)} ended with {done.returncode}: {said[-1]}"
        raise AssertionError(msg)
    return said[:-1]


def wait() -> None:
    """Wait until the stack of this shell's variables has done what it was given, seen twice."""
    looks = 0
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while looks < QUIET_LOOKS and time.monotonic() < deadline:
        busy = any(_pending(name) for name in ("SCHEDULER", "SMS_SENDER", "LEDGER"))
        looks = 0 if busy else looks + 1
        time.sleep(POLL_SECONDS)


def _pending(variable: str) -> int:
    headers = {"X-API-Key": os.environ["ADMIN_KEY"]}
    answer = httpx.get(f"{os.environ[variable]}/v1/progress", headers=headers)
    return sum(answer.json()["pending"].values())


if __name__ == "__main__":
    wait()
