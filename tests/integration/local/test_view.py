"""The local page: takes what the services' exporter sends, shows it, tells strangers nothing."""

import gzip
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.trace import SpanKind
from prometheus_client import generate_latest

from deploy.local.processes import LOOPBACK, Process, free_port
from shared.settings import ServiceSettings
from shared.telemetry import metrics, setup, tracing
from tests.support.journey import until

PAGES = ("/", "/page.html", "/page.js", "/page.css")


class Measured(BaseHTTPRequestHandler):
    """A service as far as its metrics go."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(generate_latest(metrics.REGISTRY))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = HTTPServer((LOOPBACK, 0), Measured)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    port = free_port()
    command = [sys.executable, "-m", "deploy.view", "--port", str(port)]
    targets = [f"scheduler=http://{LOOPBACK}:{service.server_port}", f"away=http://{LOOPBACK}:9"]
    process = Process(
        "view", [*command, *targets], log=tmp_path_factory.mktemp("view") / "view.log"
    )
    process.start()
    with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=5) as client:
        process.wait_until(lambda: answers(client), seconds_max=20)
        yield client
    process.stop(seconds_max=10)
    service.shutdown()
    thread.join()
    service.server_close()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_a_services_spans_are_shown(page: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "unused:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://unused/regua")
    setup.start_tracing(ServiceSettings(otlp_endpoint=str(page.base_url)))
    root = tracing.begin("POST", tracing.new_traceparent(1.0), kind=SpanKind.SERVER)
    with tracing.span("plan", root.traceparent) as child:
        child.set("regua.contact_id", "0192f0c1")
        child.fail("unknown_timeout")
    root.end()
    setup.stop()
    [summary] = page.get("/api/traces", params={"id": "0192"}).json()["traces"]
    assert (summary["name"], summary["spans"], summary["errors"]) == ("POST", 2, 1)
    spans = page.get(f"/api/traces/{summary['trace_id']}").json()["spans"]
    assert [span["name"] for span in spans] == ["POST", "plan"]
    assert spans[1]["parent_id"] == spans[0]["span_id"]


def test_services_that_answer_are_drawn_and_others_shown_as_away(page: httpx.Client) -> None:
    metrics.CONTACTS_WITHHELD.labels("calendar.window").inc()

    def seen() -> Any:
        return page.get("/api/metrics").json()

    def drawn() -> bool:
        charts = {chart["title"]: chart for chart in seen()["charts"]}
        return any(line["name"] == "calendar.window" for line in charts["Withheld"]["lines"])

    until(drawn, "the service's figures", 15)
    assert {each["name"]: each["up"] for each in seen()["services"]} == {
        "scheduler": True,
        "away": False,
    }


@pytest.mark.parametrize("path", PAGES)
def test_the_page_loads_nothing_from_elsewhere(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    named = re.findall(r"\bhttps?:|(?<=[\"'(])//", answer.text)
    assert len(named) == answer.text.count("http://www.w3.org/2000/svg")


def test_it_answers_to_no_other_name(page: httpx.Client) -> None:
    assert page.get("/api/traces", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xffnot protobuf", {}, 400),
        (b"x" * 5_000_000, {}, 413),
        (gzip.compress(b"\x00" * 50_000_000), {"Content-Encoding": "gzip"}, 413),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
        (b"", {}, 200),
    ],
)
def test_bad_exports_are_refused(
    page: httpx.Client, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert page.post("/v1/traces", content=body, headers=headers).status_code == status


def test_it_says_what_a_target_must_look_like() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.view", "scheduler"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=Path.cwd(),
    )
    assert done.returncode == 2
    assert "NAME=http://" in done.stderr
