"""A network of its own for one test: nobody else's ports, host names as we like.

In: host names. Out: a thread whose sockets, and whose child processes, see a loopback of their
own, on which every one of those names is 127.0.0.1. Needs root on Linux.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CLONE_NEWNS, CLONE_NEWNET = 0x0002_0000, 0x4000_0000
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40


class Island:
    """One thread in namespaces of its own; `run` calls something there."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        hosts = folder / "hosts"
        hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
        self.hosts = hosts
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.run(_enter, hosts)

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` on the island and return what it returns."""
        return self._thread.submit(work, *args, **kwargs).result()

    def close(self) -> None:
        """End the thread; the namespaces go with the last process in them."""
        self._thread.shutdown()


def _enter(hosts: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for arguments in (("--make-rprivate", "/"), ("--bind", str(hosts), "/etc/hosts")):
        subprocess.run(["mount", *arguments], check=True)  # noqa: S607 - wherever it is
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)
