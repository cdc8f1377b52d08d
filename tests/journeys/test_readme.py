"""The README's examples: they answer as shown, and leave no debtor's data where none belongs.

One stack as `make up` starts it, with every request traced and every log level on. What the
examples post (and the fifty people of the sample) are the canaries.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.local import variables
from deploy.local.stack import SERVICES, Options, Stack, finished
from shared.events.topics import TOPICS, dead_letters
from tests.support import readme
from tests.support.bus import read_all
from tests.support.collector import Collector

CANARY_CHARS_MIN = 6  # shorter ones occur by chance
SPOKEN = (
    "Ana Souza",
    "Carlos Lima",
    "551130001000",
    "Souza",
    "1.120,00",
    "cust-77",
    "cust-78",
    "inv-1001",
    "inv-1002",
    "inv-1003",
    "cust-79",
    "inv-9999",
)
LOUD = {"LOG_LEVEL": "debug", "TRACE_SAMPLE_RATIO": "1"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the examples printed, and what they left behind."""

    printed: list[str]
    canaries: frozenset[bytes]
    logs: dict[str, bytes]
    metrics: dict[str, bytes]
    spans: bytes
    keys_and_headers: dict[str, bytes]


@pytest.fixture(scope="module")
def told(run_folder: Path) -> Iterator[Told]:
    folder = run_folder / "readme"
    folder.mkdir(mode=0o755)
    with Collector() as collector:
        loud = {name: LOUD | {"OTLP_ENDPOINT": collector.url} for name in SERVICES}
        options = Options(folder=folder, own_servers=True, environment=loud)
        with Stack(options) as stack:
            variables.write(stack, folder / "up.env")
            printed = readme.run(readme.examples(), str(folder))
            metrics = {name: httpx.get(f"{stack.url(name)}/metrics").content for name in SERVICES}
            topics = [name for topic in TOPICS for name in (topic.name, dead_letters(topic.name))]
            records = {name: keys_and_headers(stack.kafka.bootstrap, name) for name in topics}
        # Stopped: whatever was still to be said has been said.
        yield Told(
            printed=printed,
            canaries=canaries(folder / "debts.ndjson"),
            logs={name: (folder / f"{name}.log").read_bytes() for name in SERVICES},
            metrics=metrics,
            spans=collector.received(),
            keys_and_headers=records,
        )


def test_the_examples_of_the_readme_answer_as_shown(told: Told) -> None:
    examples = readme.examples()
    assert len(examples) > 5
    wrong = [
        f"{missing!r} is not in {printed!r}"
        for example, printed in zip(examples, told.printed, strict=True)
        if (missing := example.missing(printed)) is not None
    ]
    assert not wrong


def test_no_debtors_data_in_logs(told: Told) -> None:
    assert all(b"service_started" in log for log in told.logs.values()), "looked at real logs"
    assert len(told.canaries) > 100
    assert [name for name, log in told.logs.items() if found(told, log)] == []


def test_no_debtors_data_in_metrics(told: Told) -> None:
    assert b"regua_intake_events_total" in told.metrics["scheduler"]
    assert [name for name, text in told.metrics.items() if found(told, text)] == []


def test_no_debtors_data_in_spans(told: Told) -> None:
    assert b"debt.events.v1" in told.spans, "looked at real spans"
    assert found(told, told.spans) == []


def test_no_debtors_data_in_record_keys_and_headers(told: Told) -> None:
    assert b"debt.registered.v1" in told.keys_and_headers["debt.events.v1"]
    wrong = [name for name, text in told.keys_and_headers.items() if found(told, text)]
    assert wrong == []


def keys_and_headers(bootstrap: str, topic: str) -> bytes:
    """What of a topic's records is not their value."""
    records = [record for part in finished(read_all(bootstrap, topic)).values() for record in part]
    keys = [(record.key or "").encode() for record in records]
    headers = [
        b"%s: %s" % (name.encode(), value) for r in records for name, value in r.headers.items()
    ]
    return b"\n".join(keys + headers)


def found(told: Told, text: bytes) -> list[bytes]:
    """The canaries that a text holds."""
    return [canary for canary in told.canaries if canary in text]


def canaries(sample: Path) -> frozenset[bytes]:
    """Names, addresses, documents, references of everybody whom the examples speak of."""
    words = set(SPOKEN) | {"11987654321"}
    for line in sample.read_text().splitlines():
        data = json.loads(line)["data"]
        words |= {data["debt_ref"], data["debtor_ref"], data["debtor"]["name"]}
        words |= {data.get("document", "")}
        words |= {point["address"].lstrip("+") for point in data["debtor"]["contact_points"]}
    return frozenset(word.encode() for word in words if len(word) >= CANARY_CHARS_MIN)
