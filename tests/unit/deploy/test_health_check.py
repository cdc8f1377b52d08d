"""The containers' health check: the process's own word, and nothing but it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.containers import health

STATUS = {"now": 200}


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(STATUS["now"] if self.path == "/health/ready" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with HTTPServer((health.LOOPBACK, 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("HTTP_PORT", str(server.server_port))
        monkeypatch.setenv("HTTP_HOST", health.EVERYWHERE)
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("port")
@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_ready_alone_is_healthy(status: int, code: int) -> None:
    STATUS["now"] = status
    assert health.main() == code


def test_nobody_there_is_one_line(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_HOST", "127.0.0.2")  # the same port, where nobody listens
    assert health.main() == 1
    assert (
        capsys.readouterr().err == f"unhealthy: no answer on port {port} (ConnectionRefusedError)\n"
    )


def test_a_port_must_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PORT", raising=False)
    assert health.main() == 1
