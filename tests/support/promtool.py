"""Prometheus's own judge of rules: the one on the PATH, or Debian's, unpacked into the cache.

In: nothing. Out: the path of `promtool`. Without it and without Debian's packages the tests that
need it are skipped, except in CI, where they fail.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from deploy.local import places

REMEDY = "install promtool (Debian: the package prometheus) and put it on the PATH"
FETCH_SECONDS_MAX = 120


def promtool() -> str:
    """Return the path of promtool, fetching it once."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    kept = places.cache() / "tools" / "promtool"
    if not kept.exists():
        with places.locked(kept):
            if not kept.exists():
                _fetch(kept)
    return str(kept)


def _fetch(target: Path) -> None:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt is None or dpkg is None:
        _missing("there is no apt-get here")
        return
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        download = [apt, "-qq", "-o", "APT::Sandbox::User=root", "download", "prometheus"]
        done = _ran(download, folder)
        if done.returncode != 0:  # no lists of packages yet
            _ran([apt, "-qq", "update"], folder)
            done = _ran(download, folder)
        packages = list(Path(folder).glob("prometheus_*.deb"))
        if done.returncode != 0 or len(packages) != 1:
            _missing(done.stderr.strip() or "Debian's packages were not to be had")
            return
        _ran([dpkg, "-x", str(packages[0]), folder], folder)
        (Path(folder) / "usr/bin/promtool").rename(target)


def _ran(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=FETCH_SECONDS_MAX,
    )


def _missing(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{why}: {REMEDY}")
    pytest.skip(f"{why}: {REMEDY}")
