"""Each service can be shipped alone: its folder and `shared/` import without anything else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT, services

IMPORT_EVERYTHING = """
import importlib, pathlib, sys
here = pathlib.Path.cwd()
count = 0
for path in sorted(here.rglob("*.py")):
    parts = path.relative_to(here).with_suffix("").parts
    if "versions" in parts or parts[-1] in ("env", "__main__"):
        continue  # run by Alembic and by the command line, not imported
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    module = importlib.import_module(name)
    assert pathlib.Path(module.__file__).is_relative_to(here), module.__file__
    count += 1
print(count)
"""
IMPORT_SECONDS_MAX = 60


@pytest.mark.parametrize("service", services())
def test_a_service_imports_with_only_itself_and_shared(service: str, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=ignored)
    shutil.copytree(ROOT / "services" / service, tmp_path / "services" / service, ignore=ignored)
    shutil.copy(ROOT / "services" / "__init__.py", tmp_path / "services")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=IMPORT_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert int(done.stdout) > len(list((tmp_path / "shared" / "events").glob("*.py")))
