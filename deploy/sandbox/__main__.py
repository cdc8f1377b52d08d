"""Command line of the sandbox: `python -m deploy.sandbox serve --port 8090 --seed demo`.

In: options or the variables SANDBOX_CONTROL_KEY (or SANDBOX_CONTROL_KEY_FILE, which names a file
that holds it), CLOCK_URL, CLOCK_KEY. Out: one line telling the address, then serves (on 127.0.0.1
unless --host says otherwise) until SIGTERM or SIGINT. Exit codes: 0 stopped, 2 bad settings, 3 port
in use.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

import uvloop

from deploy.sandbox.control import Control
from deploy.sandbox.truth import ENTRIES_MAX
from deploy.sandbox.wire import Answer, Connection, Gate, Request
from deploy.sandbox.world import Setup, World

HOST = "127.0.0.1"  # it pretends to be a provider; elsewhere only inside a network of containers
KEY_CHARACTERS_MAX = 1_000  # a longer "key" is the wrong file
EXIT_BAD_SETTINGS, EXIT_CANNOT_LISTEN = 2, 3


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args()
    key = _control_key()
    if not key:
        _complain("SANDBOX_CONTROL_KEY is not set: give the key that control calls must show")
        return EXIT_BAD_SETTINGS
    setup = Setup(
        control_key=key,
        host=arguments.host,
        smtp_port=arguments.smtp_port,
        port=arguments.port,
        seed=arguments.seed,
        clock_url=arguments.clock_url or None,
        clock_key=arguments.clock_key or None,
        truth_file=arguments.truth_file,
        truth_entries_max=arguments.truth_entries_max,
    )
    return uvloop.run(serve(setup))


async def serve(setup: Setup) -> int:
    """Serve one sandbox until a signal; return the exit code."""
    world = World(setup)
    control = Control(world, setup.control_key)

    def handle(request: Request) -> "Answer | Awaitable[Answer]":
        answer = world.provider(request)
        return control.handle(request) if answer is None else answer

    world.gate = gate = Gate(handle)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Connection(gate), setup.host, setup.port)
    except OSError as error:
        _complain(
            f"cannot listen on {setup.host}:{setup.port}: {error.strerror}; choose another --port"
        )
        await world.close()
        return EXIT_CANNOT_LISTEN
    port = server.sockets[0].getsockname()[1]
    print(f"sandbox listening on http://{setup.host}:{port}", flush=True)  # noqa: T201 - told to the caller
    await world.start()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(world.clock.run())
            await stop.wait()
            following.cancel()
    finally:
        server.close()
        gate.close()
        await world.close()
    return 0


def _control_key() -> str:
    """The key itself, or what the file named for it holds; empty when there is neither."""
    if named := os.environ.get("SANDBOX_CONTROL_KEY_FILE"):
        try:
            with Path(named).open() as file:
                return file.read(KEY_CHARACTERS_MAX).strip()
        except (OSError, UnicodeDecodeError) as error:
            _complain(f"SANDBOX_CONTROL_KEY_FILE cannot be read ({type(error).__name__})")
            return ""
    return os.environ.get("SANDBOX_CONTROL_KEY", "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True)
    serving = commands.add_parser("serve", help="serve until stopped")
    serving.add_argument("--smtp-port", type=int, default=0, help="0: any free port")
    serving.add_argument("--host", default=HOST, help="address to listen on")
    serving.add_argument("--port", type=int, default=0, help="0: any free port, printed")
    serving.add_argument("--seed", default="1", help="fate of every debtor")
    serving.add_argument(
        "--clock-url",
        default=os.environ.get("CLOCK_URL"),
        help="GET answers {law_now}; without it law time is machine time",
    )
    serving.add_argument("--clock-key", default=os.environ.get("CLOCK_KEY"), help="X-API-Key of it")
    serving.add_argument("--truth-file", type=Path, help="where old truth lines go")
    serving.add_argument("--truth-entries-max", type=int, default=ENTRIES_MAX)
    return parser


def _complain(line: str) -> None:
    print(f"sandbox: {line}", file=sys.stderr)  # noqa: T201 - the one line a user sees


if __name__ == "__main__":
    sys.exit(main())
