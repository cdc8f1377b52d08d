"""House rules that no linter knows: names, first words, and what a file never says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT, python_files, relative, services

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "data", "misc"}
# Absolute paths and addresses of somebody's machine have no place in a repository.
MACHINE = re.compile(
    r"(?<![\w.$}])/(work|home|root|Users)/\w|\b(10|192\.168|172\.1[6-9])\.\d+\.\d+\.\d+"
)
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".sql", ".json", ".cfg", ".txt", ""}
OURS_THOUGH_HIDDEN = {".ci", ".pre-commit-config.yaml", ".gitignore"}  # other dots: tools' own
METRIC_TYPES = {"Counter", "Gauge", "Histogram", "Summary"}
METRICS = ROOT / "shared" / "telemetry" / "metrics.py"


def text_files() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.is_file()
        and path.suffix in TEXT_SUFFIXES
        and not any(hidden(part) for part in path.relative_to(ROOT).parts)
    ]


def hidden(part: str) -> bool:
    return part == "__pycache__" or (part.startswith(".") and part not in OURS_THOUGH_HIDDEN)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each (module, name) that a file imports; the name is empty for a plain import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)


def test_modules_are_named_after_what_they_are_about() -> None:
    assert not [relative(path) for path in python_files() if path.stem in EMPTY_NAMES]


def test_every_module_says_first_what_it_is_for() -> None:
    trees = ((path, ast.parse(path.read_text())) for path in python_files())
    silent = [relative(path) for path, tree in trees if tree.body and not ast.get_docstring(tree)]
    assert not silent, "what comes in, what goes out, why"


@pytest.mark.parametrize("service", services())
def test_a_service_says_what_comes_in_and_what_goes_out(service: str) -> None:
    tree = ast.parse((ROOT / "services" / service / "__init__.py").read_text())
    story = (ast.get_docstring(tree) or "").lower()
    assert "in:" in story
    assert "out:" in story


def test_the_repository_names_no_machine() -> None:
    found = [
        f"{relative(path)}: {match.group()}"
        for path in text_files()
        for match in MACHINE.finditer(path.read_text(errors="replace"))
    ]
    assert not found


def test_metrics_are_declared_in_one_place() -> None:
    elsewhere = [
        relative(path)
        for path in python_files("services", "shared")
        if path != METRICS
        and any(of == "prometheus_client" and name in METRIC_TYPES for of, name in imports(path))
    ]
    assert not elsewhere, "declare it in shared/telemetry/metrics.py, with its unit and meaning"


def test_no_test_mocks_our_own_code() -> None:
    mocking = [
        relative(path)
        for path in python_files("tests")
        if any(of in {"mock", "unittest.mock"} or name == "mock" for of, name in imports(path))
    ]
    assert not mocking, "use the real thing, or play the outside world at the wire"
