"""Becomes a container's first process: mounts, a root of its own, no rights, then the command.

In: a JSON file (`Inside` of `tests.support.image`), read as root inside a mount namespace that
`unshare` has made. Out: the command, as the container engine would run it: its root folder and
nothing above it, read-only where it is read-only, its user, no capabilities, no new privileges,
its environment and no other. Standard library only: nothing can be imported once inside.
"""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
CAPABILITIES = 64  # more than there are: dropping one that does not exist fails, and that is all


def main() -> None:
    """Read the file, become the process."""
    inside = json.loads(Path(sys.argv[1]).read_text())
    libc = ctypes.CDLL(None, use_errno=True)
    root = Path(inside["root"])
    mount("--bind", str(root), str(root))
    for each in inside["mounts"]:
        attach(root, each)
    if inside["read_only"]:
        mount("-o", "remount,bind,ro", str(root))
    os.chroot(root)
    os.chdir(inside["workdir"])
    os.umask(0o022)
    if inside["user"] is not None:
        for capability in range(CAPABILITIES):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        uid, gid = inside["user"]
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    command: list[str] = inside["command"]
    environment: dict[str, str] = inside["environment"]
    os.environ.clear()
    os.environ.update(environment)
    os.execvp(command[0], command)  # noqa: S606 - the command is the point


def attach(root: Path, wanted: dict[str, Any]) -> None:
    """Mount one thing; make the place it goes to."""
    target = root / wanted["target"].lstrip("/")
    source = Path(wanted.get("source") or "/")
    if wanted["kind"] == "bind" and not source.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.touch()
    else:
        target.mkdir(parents=True, exist_ok=True)
    if wanted["kind"] == "tmpfs":
        mount("-t", "tmpfs", "-o", wanted["options"], "tmpfs", str(target))
    elif wanted["kind"] == "overlay":
        mount("-t", "overlay", "-o", wanted["options"], "overlay", str(target))
    else:
        mount("--bind", str(source), str(target))
        if wanted.get("read_only"):
            mount("-o", "remount,bind,ro", str(target))


def mount(*arguments: str) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *arguments], check=True)  # noqa: S607 - wherever it is


if __name__ == "__main__":
    main()
