"""A collector of traces, as far as a test needs one: takes whatever comes, and keeps the bytes.

In: OTLP over HTTP at `url`. Out: `received()`, everything that came, unpacked if it was packed, and
`spans()`, the same as spans.
"""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from deploy.view.traces import Span, decoded


class Collector:
    """Listens on a free port of this machine while in a `with` block."""

    def __init__(self) -> None:
        bodies: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                packed = self.headers.get("Content-Encoding") == "gzip"
                bodies.append(gzip.decompress(body) if packed else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._bodies = bodies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def received(self) -> bytes:
        """Everything that came so far."""
        return b"\n".join(self._bodies)

    def exports(self) -> list[bytes]:
        """Every export that came so far, as it was sent."""
        return list(self._bodies)

    def spans(self) -> list[Span]:
        """Every span that came so far."""
        return [span for body in list(self._bodies) for span in decoded(body)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
