"""Command line of the local stack: `python -m deploy.local up | servers | lock`.

In: `POSTGRES_URL`, `KAFKA_BOOTSTRAP` (servers that exist; the brokers' `KAFKA_SECURITY_PROTOCOL`,
`KAFKA_SASL_…` and `KAFKA_TLS_…` as services read them), `SCHEDULER_PORT`, `SMS_SENDER_PORT`,
`EMAIL_SENDER_PORT`, `EMAIL_SENDER_MAIL_PORT`, `WHATSAPP_SENDER_PORT`, `CONTACT_LEDGER_PORT`,
`SANDBOX_PORT`, `VIEW_PORT`. Out: a running stack until Ctrl-C, its URLs and first key on standard
output. Exit codes: 0 stopped as asked, 1 a part died, 2 it could not start.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from deploy.local import jars, places, servers
from deploy.local.errors import CannotRun

EXIT_DIED, EXIT_CANNOT_START = 1, 2
PORTS = {
    "scheduler": 8081,
    "sms_sender": 8082,
    "contact_ledger": 8083,
    "email_sender": 8084,
    "whatsapp_sender": 8085,
    "email_sender_mail": 8025,
    "sandbox": 8090,
}
VIEW_PORT = 8091


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands: dict[str, Callable[[], int]] = {"up": up, "servers": only_servers, "lock": lock}
    parser.add_argument("command", choices=commands)
    chosen = parser.parse_args().command
    # Ctrl-C, too: whoever was started in the background inherits that it is ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return commands[chosen]()
    except CannotRun as error:
        say(f"regua: {error}", to_errors=True)
        return EXIT_CANNOT_START


def up() -> int:
    """Start everything and stay up."""
    from deploy.local import variables  # noqa: PLC0415 - `servers` needs no services
    from deploy.local.page import Page  # noqa: PLC0415 - likewise
    from deploy.local.stack import SERVICES, Options, Stack  # noqa: PLC0415 - likewise

    lasting = "regua" if os.environ.get("POSTGRES_URL") else None
    ports = {name: _port(name, port) for name, port in PORTS.items()}
    folder = places.run_folder("up")
    services = {name: port for name, port in ports.items() if name in SERVICES}
    page = Page(_port("view", VIEW_PORT), services, folder)
    options = Options(ports=ports, database=lasting, folder=folder, environment=page.environment())
    stack = Stack(options, say=say)
    shown = stack.folder.parent / "up.env"
    try:
        page.start()
        stack.start()
        urls = {name: stack.url(name) for name in stack.processes}
        told = urls | {
            "traces, metrics": page.url,
            "admin key": stack.admin_key,
            "variables": variables.write(stack, shown),
            "logs": stack.folder,
        }
        say("\n".join(f"{name:15} {value}" for name, value in told.items()))
        say("Ctrl-C stops it all" + ("" if lasting else " and deletes its data"))
        stack.watch()
    except KeyboardInterrupt:
        return 0
    except CannotRun as error:
        say(f"regua: {error}", to_errors=True)
        return EXIT_DIED if stack.admin_key else EXIT_CANNOT_START
    finally:
        # Make and the terminal may both tell us; only Ctrl-C cuts an orderly stop short.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        shown.unlink(missing_ok=True)
        stack.stop()
        page.stop()
    return 0


def only_servers() -> int:
    """Start PostgreSQL and Kafka, say how to use them, stay up."""
    folder = places.run_folder("servers")
    both = (servers.postgres(folder / "postgres"), servers.kafka(folder / "kafka"))
    try:
        for server in both:
            server.start()
        say(f"export POSTGRES_URL={both[0].admin_url}")
        say(f"export KAFKA_BOOTSTRAP={both[1].bootstrap}")
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        return 0
    finally:
        for server in reversed(both):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def lock() -> int:
    """Resolve Kafka's jars anew and rewrite the lock file."""
    say(f"{jars.write_lock()} jars in {jars.LOCK}")
    return 0


def say(line: str, *, to_errors: bool = False) -> None:
    """One line for the person at the terminal."""
    stream = sys.stderr if to_errors else sys.stdout
    stream.write(f"{line}\n")  # one write: two threads report while servers start
    stream.flush()


def _port(name: str, default: int) -> int:
    variable = f"{name.upper()}_PORT"
    given = os.environ.get(variable, str(default))
    if not given.isdigit() or not 0 < int(given) < 65_536:  # noqa: PLR2004 - the range of ports
        raise CannotRun(f"{variable} must be a port number from 1 to 65535, not {given!r}")
    return int(given)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Stop in order, whichever signal asks for it."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
