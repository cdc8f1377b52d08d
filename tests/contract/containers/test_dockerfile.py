"""The Dockerfile: hadolint's word, and what an image of ours must be."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import dockerfile
from tests.support.tree import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = ROOT / ".dockerignore"
LINT_SECONDS_MAX = 60


def hadolint(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(Path(sys.executable).with_name("hadolint")), "--failure-threshold", "style", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=LINT_SECONDS_MAX,
    )


def in_context(path: str) -> bool:
    """Say whether .dockerignore lets a path of the clone into the build (last match wins)."""
    kept = True
    for line in IGNORED.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = [path, *map(str, Path(path).parents), *Path(path).parts]
        if any(fnmatch.fnmatch(part, pattern) for part in parts):
            kept = line.startswith("!")
    return kept


def test_hadolint_finds_nothing() -> None:
    done = hadolint(DOCKERFILE)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE.read_text().replace("python:3", "python:latest AS x\nFROM python:3"))
    assert hadolint(bad).returncode != 0


def test_both_stages_stand_on_the_same_python() -> None:
    build, final = dockerfile.stages(DOCKERFILE)
    assert build.image == final.image
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", final.image)


def test_the_image_s_python_is_the_one_that_tests_run_on() -> None:
    image = dockerfile.stages(DOCKERFILE)[-1].image
    least = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert least is not None
    assert image.startswith(f"python:{least[1]}.")


def test_the_image_is_run_by_a_numbered_user_without_rights() -> None:
    user = [each.text for each in dockerfile.stages(DOCKERFILE)[-1].instructions][-1]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)


def test_the_lock_file_is_read_by_the_tool_that_make_uses() -> None:
    used = re.search(r"^ARG UV_VERSION=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    made = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert used is not None
    assert made is not None
    assert used[1] == made[1]


def test_the_build_is_given_what_it_copies() -> None:
    for stage in dockerfile.stages(DOCKERFILE):
        for each in stage.instructions:
            if each.word == "COPY" and not each.text.startswith("--from"):
                for source in each.text.split()[:-1]:
                    assert in_context(source.rstrip("/")), source
                    assert (ROOT / source).exists(), source


@pytest.mark.parametrize(
    "path",
    ["secrets/ledger_kek", ".env", ".git/config", "tests/conftest.py", ".regua/keys.json",
     ".venv/bin/python", "deploy/kafka/start.sh", "services/scheduler/__pycache__/app.pyc"],
)  # fmt: skip
def test_the_build_never_sees(path: str) -> None:
    assert not in_context(path)
