"""The import contracts hold, and each of them catches what it is there to catch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT

LINT_SECONDS_MAX = 120
# file to add a line to, the line, words of the contract that must break
PLANTED = [
    (
        "services/sms_sender/__init__.py",
        "import services.scheduler.policy",
        "never on each other",
    ),
    ("shared/events/states.py", "import shared.kafka.client", "shared is layered"),
    ("shared/unplaced.py", "UNPLACED = True", "shared is layered"),
    ("shared/kafka/client.py", "import deploy.local", "how it is deployed"),
    ("services/scheduler/policy/caps.py", "import shared.kafka.client", "policy is pure"),
    ("services/scheduler/policy/caps.py", "import asyncio", "policy is pure"),
    ("services/scheduler/policy/caps.py", "import asyncpg", "policy is pure"),
    ("services/contact_ledger/kpis.py", "import fastapi", "policy is pure"),
    ("services/scheduler/planted.py", "import aiokafka", "only shared.kafka"),
    ("services/scheduler/planted.py", "import sqlalchemy", "SQL lives in stores"),
    ("services/sms_sender/providers/planted.py", "import asyncpg", "providers speak HTTP"),
    ("services/sms_sender/providers/planted.py", "import shared.kafka", "providers speak HTTP"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code to plant violations in."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("services", "shared", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken_contracts(folder: Path) -> str:
    """What the linter reports, with its exit code in front."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(linter), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LINT_SECONDS_MAX,
    )
    lines = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    return "\n".join([str(done.returncode), *lines]) if lines else done.stdout + done.stderr


def test_the_contracts_hold(copy: Path) -> None:
    assert "0 broken" in broken_contracts(copy)


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED, ids=lambda value: value)
def test_a_planted_violation_is_caught(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        report = broken_contracts(copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert report.startswith("1\n"), report
    assert contract in report
