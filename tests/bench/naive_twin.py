"""`naive_twin`: the same flow written row by row, kept beside the real one as its yardstick.

In: `contacts` debts posted one by one. Out: one JSON line with contacts per second. Same servers,
same provider sandbox, same number of processes (scheduler, sender, ledger) and the same hops, as
such systems are usually first written: one ORM object and one commit per row, one message and one
offset commit at a time, one HTTP client call each. It promises nothing under a kill.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import httpx

from deploy.demo.platform import Platform
from deploy.demo.setting import register_accounts
from deploy.local.processes import free_port
from deploy.local.stack import ROOT, Options, Stack
from tests.bench.e2e_contacts import SERVICES
from tests.bench.naive_roles import ROLES

CONTACTS = 300
CLIENTS = 8  # requests under way at once, as many as a small client system would have
FINISH_SECONDS_MAX = 300.0
READY_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.2


def run(contacts: int = CONTACTS) -> dict[str, Any]:
    """Run the twin on servers of its own and return the result line."""
    with Stack(Options(own_servers=True, services=SERVICES)) as stack:
        urls = {name: stack.url(name) for name in stack.processes}
        with Platform(urls, admin_key=stack.admin_key, control_key=stack.control_key) as platform:
            register_accounts(platform, stack, "twin")
            platform.sandbox("POST", "/sandbox/behaviour", {"preset": "silent"})
        for name in reversed(SERVICES):
            stack.processes[name].stop()  # the twin has the machine to itself
        ports = {role: free_port() for role in ROLES}
        children = [_start(stack, role, ports[role]) for role in ROLES]
        try:
            seconds = asyncio.run(_measure(ports, contacts))
        finally:
            for child in children:
                child.kill()
                child.wait()
    return {
        "bench": "naive_twin",
        "value": round(contacts / seconds, 1),
        "unit": "contacts/s",
        "contacts": contacts,
        "seconds": round(seconds, 2),
    }


def _start(stack: Stack, role: str, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TWIN_DATABASE": stack.database.admin_url,
        "TWIN_KAFKA": stack.kafka.bootstrap,
        "TWIN_PORT": str(port),
        "TWIN_SANDBOX": stack.url("sandbox"),
        "TWIN_TOKEN": stack.keys["sandbox_account"],
    }
    log = (stack.folder / f"twin-{role}.log").open("wb")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.bench.naive_roles", role],
            env=environment,
            stdout=log,
            stderr=log,
        )


async def _measure(ports: dict[str, int], contacts: int) -> float:
    """Post the debts, wait until the ledger has every delivery; return the seconds."""
    async with httpx.AsyncClient() as client:
        await _ready(client, f"http://127.0.0.1:{ports['ledger']}/delivered")
        await _ready(client, f"http://127.0.0.1:{ports['scheduler']}/docs")
        await _ready(client, f"http://127.0.0.1:{ports['sender']}/docs")
        started = time.monotonic()
        gate = asyncio.Semaphore(CLIENTS)

        async def post(number: int) -> None:
            debt = {"id": str(number), "phone": f"+55119{60_000_000 + number}", "amount": "1120.00"}
            async with gate:
                await client.post(f"http://127.0.0.1:{ports['scheduler']}/debts", json=debt)

        await asyncio.gather(*(post(number) for number in range(contacts)))
        while (await client.get(f"http://127.0.0.1:{ports['ledger']}/delivered")).json() < contacts:
            if time.monotonic() - started > FINISH_SECONDS_MAX:
                msg = "the twin did not finish"
                raise TimeoutError(msg)
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - started


async def _ready(client: httpx.AsyncClient, url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            if (await client.get(url)).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            msg = "a role of the twin did not start"
            raise TimeoutError(msg)
        await asyncio.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    print(json.dumps(run()), flush=True)
