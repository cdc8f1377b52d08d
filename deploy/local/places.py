"""Where the local servers keep their files, and as whom they run.

In: the environment (`XDG_CACHE_HOME`) and the user. Out: a cache per user outside the clone (jars,
copies of the server binaries), directories that belong to the servers' user, readable copies.

PostgreSQL refuses to run as root, so as root every server runs as `nobody`; everything it reads
must then be in folders that `nobody` may enter, which `/root` is not.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.local.errors import CannotRun

UNPRIVILEGED = "nobody"


def server_user() -> pwd.struct_passwd | None:
    """The user that servers run as when we are root; None means: as ourselves."""
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None


def cache() -> Path:
    """The cache of this user, outside the clone, that the servers may read."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    if server_user() is not None and not enterable(base):
        return own_folder(Path(f"/var/tmp/regua-{os.geteuid()}"))  # noqa: S108 - ownership is checked
    return own_folder(base / "regua")


def own_folder(path: Path) -> Path:
    """Make `path` if need be; it must be ours and closed to other people's writing."""
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise CannotRun(unwritable(path, error)) from error
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CannotRun(
            f"{path} belongs to somebody else or is writable by others: "
            "delete it or set XDG_CACHE_HOME"
        )
    return path


def unwritable(path: Path, error: OSError) -> str:
    """The one line for a disk that takes no writing."""
    return (
        f"cannot write to {path} ({error.strerror}): "
        "free the disk, or work in a clone and with an XDG_CACHE_HOME on another"
    )


def enterable(path: Path) -> bool:
    """Whether the servers' user may enter `path` and each folder above it (those that exist)."""
    user = server_user()
    if user is None:
        return True
    return all(_may_enter(folder, user) for folder in (path, *path.parents) if folder.exists())


def _may_enter(folder: Path, user: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.pw_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def server_folder(path: Path) -> Path:
    """An existing or new folder that belongs to the servers' user."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        hand_over(path)
    except OSError as error:
        raise CannotRun(unwritable(path, error)) from error
    return path


def hand_over(path: Path) -> None:
    """Give one file or folder to the servers' user."""
    user = server_user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def write(path: Path, text: str) -> None:
    """Write a small file that the servers read."""
    try:
        path.write_text(text)
    except OSError as error:
        raise CannotRun(unwritable(path, error)) from error


def run_folder(name: str) -> Path:
    """A new folder for one run (data, logs); below the clone's `.regua` if servers may enter it."""
    home = Path.cwd() / ".regua"
    parent = home if enterable(Path.cwd()) and os.access(Path.cwd(), os.W_OK) else cache() / "runs"
    try:
        parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        folder.chmod(0o755)
    except OSError as error:
        raise CannotRun(unwritable(parent, error)) from error
    return folder


def readable(source: Path, *siblings: Path, name: str, into: Path | None = None) -> Path:
    """`source` itself when the servers' user may read it, else its copy in the cache.

    `siblings` are folders that must lie beside it (shared libraries found by a relative path).
    """
    if enterable(source):
        return source
    target = (into or cache()) / name
    with locked(target):
        for folder in (source, *siblings):
            _copy_once(folder, target / folder.name)
    return target / source.name


def _copy_once(source: Path, target: Path) -> None:
    if target.exists():
        return
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, symlinks=True)
        partial.rename(target)
    except OSError as error:
        raise CannotRun(unwritable(target, error)) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the cache entry `path` alone, so that two runs do not fill it at once."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        handle = path.with_name(f"{path.name}.lock").open("w")
    except OSError as error:
        raise CannotRun(unwritable(path, error)) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
