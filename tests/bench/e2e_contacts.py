"""`e2e_contacts`: debts posted, planned, dispatched, sent, receipted and recorded, end to end.

In: `contacts` debts of as many debtors, each due for its first step now. Out: one JSON line:
contacts per second from the first post to the last delivered receipt in the ledger, CPU per
contact by part, and what was lost or doubled by the provider's own log. Kafka writes to disk and
PostgreSQL runs with its default durability; claims, holds, caps, webhooks and the ledger are on.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from deploy.demo.platform import EVENTS_PER_REQUEST, Platform
from deploy.demo.setting import prepare
from deploy.local.stack import Options, Stack
from deploy.portfolio.debtors import BRAZIL
from tests.bench.costs import Meter, per_item_us

CONTACTS = 20_000
SERVICES = ("scheduler", "sms_sender", "contact_ledger")  # the flow is SMS; others would idle
LAW_NOW = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)  # a Monday noon in São Paulo: lawful everywhere
RATE_PER_SECOND = 20_000.0  # the account's limit is not what is measured here
CLIENTS = 4  # requests under way at once
FINISH_SECONDS_MAX = 600.0
LOOK_SECONDS = 0.25
ENTRIES_PER_CONTACT = 5  # registered, dispatched (planned with it), accepted, sent, delivered

Json = dict[str, Any]


def run(contacts: int = CONTACTS) -> Json:
    """Run once on a stack of its own and return the result line."""
    with Stack(Options(own_servers=True, services=SERVICES)) as stack:
        urls = {name: stack.url(name) for name in stack.processes}
        with Platform(urls, admin_key=stack.admin_key, control_key=stack.control_key) as platform:
            platform.set_clock(LAW_NOW)
            prepare(platform, stack, "bench", rate_per_second=RATE_PER_SECOND)
            platform.sandbox("POST", "/sandbox/behaviour", {"preset": "silent"})
            return _measure(stack, platform, contacts)


def _measure(stack: Stack, platform: Platform, contacts: int) -> Json:
    meter = Meter(stack)
    before, started = meter.read(), time.monotonic()
    results = _post(platform, contacts)
    posted = time.monotonic()
    delivered = _wait_delivered(platform, contacts)
    finished = time.monotonic()
    costs = per_item_us(before, meter.read(), contacts)
    accepted = Counter(
        line["contact_id"] for line in platform.truth() if line["kind"] == "accepted"
    )
    refused = sum(1 for result in results if result["status"] != "accepted")
    return {
        "bench": "e2e_contacts",
        "value": round(contacts / (finished - started), 1),
        "unit": "contacts/s",
        "contacts": contacts,
        "seconds": round(finished - started, 2),
        "posting_seconds": round(posted - started, 2),
        "cpu_us_per_contact": costs,
        "memory_mib": meter.memory_mib(),
        "refused": refused,
        "lost": contacts - min(delivered, len(accepted)),
        "duplicates": sum(count - 1 for count in accepted.values()),
        "flow": _flow(platform, contacts),
        "versions": {name: version(name) for name in ("aiokafka", "asyncpg", "aiohttp")},
    }


def _post(platform: Platform, contacts: int) -> list[Json]:
    """Post the debts as a billing system does: requests of 500, a few of them at once."""
    first = range(0, contacts, EVENTS_PER_REQUEST)
    with ThreadPoolExecutor(max_workers=CLIENTS) as clients:
        pages = clients.map(
            lambda start: platform.post_events(
                debts(range(start, min(start + EVENTS_PER_REQUEST, contacts)))
            ),
            first,
        )
        return [result for page in pages for result in page]


def debts(numbers: Iterable[int]) -> Iterator[Json]:
    """Yield one registration for each of these debtors in São Paulo, due yesterday."""
    due = (LAW_NOW - timedelta(days=1)).date().isoformat()
    for number in numbers:
        yield {
            "specversion": "1.0",
            "id": f"bench-{number}",
            "source": "/bench",
            "type": "debt.registered",
            "time": LAW_NOW.isoformat(),
            "data": {
                "portfolio_id": BRAZIL.portfolio_id,
                "debt_ref": f"debt-{number}",
                "debtor_ref": f"debtor-{number}",
                "debtor": {
                    "name": "Maria da Silva",
                    "kind": "person",
                    "locale": "pt-BR",
                    "places": [{"country": "BR", "subdivision": "SP", "zone": "America/Sao_Paulo"}],
                    "contact_points": [
                        {
                            "channel": "sms",
                            "address": f"+55119{60_000_000 + number:08d}",
                            "verified": True,
                            "consent": "granted",
                            "consent_origin": "contract",
                        }
                    ],
                },
                "principal": "1120.00",
                "currency": "BRL",
                "due_date": due,
            },
        }


def _wait_delivered(platform: Platform, contacts: int) -> int:
    """Wait until the ledger has every contact as delivered; return how many it has.

    The ledger's counter is looked at often, its figures (a query over all contacts) only when the
    counter says that everything may be there: watching must not cost what is watched.
    """
    deadline = time.monotonic() + FINISH_SECONDS_MAX
    period = {"from": LAW_NOW.date().isoformat(), "to": (LAW_NOW + timedelta(days=1)).isoformat()}
    delivered = 0
    while delivered < contacts and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        counters = platform.progress("contact_ledger")["counters"]
        if counters.get("entries", 0) >= contacts * ENTRIES_PER_CONTACT:
            channels = platform.ledger("/v1/kpis", **period)["channels"]
            delivered = int(channels.get("sms", {}).get("delivered", 0))
    return delivered


def _flow(platform: Platform, contacts: int) -> dict[str, float]:
    """Records and broker cycles (batches acknowledged) per contact: they predict the rate."""
    counters = [platform.progress(name)["counters"] for name in SERVICES]
    return {
        f"{unit}_per_contact": round(sum(each.get(name, 0) for each in counters) / contacts, 3)
        for unit, name in (("records", "outbox_published"), ("broker_cycles", "outbox_batches"))
    }


def main() -> None:
    """Print the line."""
    print(json.dumps(run()), flush=True)


if __name__ == "__main__":
    main()
