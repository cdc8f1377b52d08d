"""The folder that an image is: built as the Dockerfile says, run as the compose file says.

In: the Dockerfile, the clone, Python and Debian's tools of this machine (they stand for the image's
ground), the package cache. Out: root folders with what the instructions put there, and processes
inside them. What stands for the ground is mounted read-only; the rest is a real folder.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import dockerfile
from tests.support.tree import ROOT

LAUNCHER = Path(__file__).with_name("inside.py")
GROUND = ("bin", "sbin", "lib", "lib64")  # links into /usr on today's systems
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where this machine keeps what fetching needs
RUN_SECONDS_MAX = 300
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Mount = dict[str, Any]


@dataclass(kw_only=True)
class Image:
    """A root folder, what is mounted into it, and the defaults of its containers."""

    root: Path
    mounts: list[Mount] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": SYSTEM_PATH})
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Inside:
    """One container: what `inside.py` reads."""

    root: str
    mounts: Sequence[Mount]
    command: Sequence[str]
    environment: Mapping[str, str]
    workdir: str = "/"
    user: tuple[int, int] | None = None  # None: root, with every right
    read_only: bool = False

    def invocation(self, file: Path) -> list[str]:
        """Write it to `file` and return the command that becomes the container's process."""
        file.write_text(json.dumps(self.__dict__))
        file.chmod(0o600)
        unshare = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*unshare, sys.executable, "-I", str(LAUNCHER), str(file)]


def ground(folder: Path, name: str) -> Image:
    """Return an image with nothing but Python and Debian's tools, read-only."""
    root = folder / name
    (root / "etc").mkdir(parents=True)
    for link in GROUND:
        if Path("/", link).is_symlink():
            (root / link).symlink_to(Path("/", link).readlink())
    for each in ("passwd", "group"):
        (root / "etc" / each).write_text("root:x:0:0::/root:/bin/sh\n" if each == "passwd" else "")
    for each in ("ld.so.conf", "nsswitch.conf"):
        shutil.copy(f"/etc/{each}", root / "etc")
    shutil.copytree("/etc/ld.so.conf.d", root / "etc" / "ld.so.conf.d")
    image = Image(root=root)
    image.mounts = [
        {"kind": "bind", "source": "/usr", "target": "/usr", "read_only": True},
        {"kind": "overlay", "options": f"lowerdir={_local(folder)}", "target": "/usr/local"},
        *({"kind": "bind", "source": each, "target": each} for each in ("/proc", "/dev")),
    ]
    run(image, ["ldconfig"], folder)  # as the official image does, for Python's own library
    return image


def built(folder: Path) -> Image:
    """Return the image that the Dockerfile describes."""
    made: dict[str, Image] = {}
    image = Image(root=folder)
    for number, stage in enumerate(dockerfile.stages(ROOT / "deploy" / "Dockerfile")):
        image = made[stage.name] = ground(folder, f"stage-{number}")
        for instruction in stage.instructions:
            _carry_out(instruction, image, made, folder)
    return image


def run(image: Image, command: Sequence[str], folder: Path, **more: Any) -> str:
    """Run a command as root in the image, to its end; return what it printed."""
    inside = Inside(
        root=str(image.root),
        mounts=[*image.mounts, *more.get("mounts", ())],
        command=command,
        environment=image.environment | more.get("environment", {}),
        workdir=image.workdir,
    )
    done = subprocess.run(
        inside.invocation(folder / "run.json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS_MAX,
    )
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def _local(folder: Path) -> str:
    """/usr/local as the official image has it: this Python, and uv, whose version is checked."""
    above = folder / "usr-local"
    if not above.exists():
        (above / "bin").mkdir(parents=True)
        prefix = Path(sys.base_prefix)
        own = Path("/usr") if prefix == Path("/usr") else Path("/usr/local")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        (above / "bin" / "python").symlink_to(own / "bin" / version)
        shutil.copy(Path(sys.executable).with_name("uv"), above / "bin" / "uv")
    below = "/usr/local" if sys.base_prefix == "/usr" else sys.base_prefix
    return f"{above}:{below}"


def _carry_out(
    step: dockerfile.Instruction, image: Image, made: Mapping[str, Image], folder: Path
) -> None:
    if step.word == "WORKDIR":
        image.workdir = step.text
        (image.root / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif step.word == "ENV":
        for name, value in dockerfile.environment(step.text).items():
            image.environment[name] = value.replace("$PATH", image.environment["PATH"])
    elif step.word == "USER":
        image.user = step.text
    elif step.word == "COPY":
        _copy(step.text, image, made)
    elif step.word == "RUN":
        _run_step(step.text, image, folder)
    else:
        assert step.word == "LABEL", f"a test cannot carry out {step.word}"


def _run_step(text: str, image: Image, folder: Path) -> None:
    if text.startswith("pip install"):  # not fetched again: the clone has it, if its version is it
        assert f"uv=={_uv_version()}" in text
        return
    mounts: list[Mount] = []
    while text.startswith("--mount=type=cache,target="):
        option, _, text = text.partition(" ")
        cache = subprocess.check_output([_uv(), "cache", "dir"], text=True, stderr=subprocess.PIPE)
        mounts.append({"kind": "bind", "source": cache.strip(), "target": option.split("=")[-1]})
    given = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
    needed = filter(os.path.exists, ("/etc/resolv.conf", "/etc/ssl", *given.values()))
    mounts += [
        {"kind": "bind", "source": path, "target": path, "read_only": True} for path in needed
    ]
    run(image, ["/bin/sh", "-c", text], folder, mounts=mounts, environment=given)


def _copy(text: str, image: Image, made: Mapping[str, Image]) -> None:
    words = text.split()
    above = ROOT
    if words[0].startswith("--from="):
        above = made[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    for source in sources:
        origin = above / source.lstrip("/")
        place = image.root / image.workdir.lstrip("/") / target.lstrip("/")
        if target.startswith("/"):
            place = image.root / target.lstrip("/")
        if origin.is_dir():
            shutil.copytree(origin, place, symlinks=True, dirs_exist_ok=True, ignore=_ignored)
        else:
            place = place / origin.name if target.endswith("/") else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, place)


def _ignored(folder: str, names: list[str]) -> list[str]:
    """What .dockerignore keeps out of a folder of the clone."""
    in_clone = Path(folder).is_relative_to(ROOT) and ".regua" not in folder
    return [name for name in names if in_clone and name == "__pycache__"]


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))


def _uv_version() -> str:
    return subprocess.check_output([_uv(), "--version"], text=True).split()[1]
