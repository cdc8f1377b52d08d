"""Ends the servers of a run whose parent was killed: nothing of ours outlives us.

In: lines on standard input, "+ID" for a process that started and "-ID" for one that ended; end of
file when the parent is gone, however it went. Out: those still alive get TERM, then KILL.
"""

import atexit
import subprocess
import sys
import threading

import psutil

TERM_SECONDS_MAX = 5.0
_lock = threading.Lock()


class Guard:
    """The parent's end of the pipe; one guard process for each parent, started when needed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int) -> None:
        """End this process if we are gone before it is."""
        self._say(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """This process has ended."""
        self._say(f"-{pid}\n")

    def _say(self, line: str) -> None:
        with _lock:
            if self._child is None or self._child.poll() is not None:
                self._child = _start()
            if self._child.stdin is not None:
                self._child.stdin.write(line.encode())
                self._child.stdin.flush()


def _start() -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is the parent's to answer
    )
    atexit.register(_end, child)
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the pipe and wait until the guard has ended what was left."""
    if child.stdin is not None:
        child.stdin.close()
    child.wait()


def main() -> None:
    """Follow the parent's words; when it is gone, end what it left."""
    watched: dict[int, psutil.Process] = {}
    for line in sys.stdin:
        pid = int(line[1:])
        watched.pop(pid, None)
        if line.startswith("+"):
            try:
                watched[pid] = psutil.Process(pid)
            except psutil.NoSuchProcess:
                continue
    left = [process for process in watched.values() if process.is_running()]
    for process in left:
        _signal(process, resume=True)
    _, alive = psutil.wait_procs(left, timeout=TERM_SECONDS_MAX)
    for process in alive:
        _signal(process, resume=False)


def _signal(process: psutil.Process, *, resume: bool) -> None:
    try:
        if resume:
            process.resume()
            process.terminate()
        else:
            process.kill()
    except psutil.NoSuchProcess:
        return


GUARD = Guard()

if __name__ == "__main__":
    main()
