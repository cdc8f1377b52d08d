"""What every service answers alike: health, metrics, progress.

In: readiness and progress of the process. Out: routes, the first four of them without a key, and
`json_response` for all the others.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from shared.http.auth import Principal, require
from shared.http.operations import operation
from shared.http.problems import Problem
from shared.telemetry import metrics

METRICS_ANSWER = {
    "description": "Prometheus text",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a process is: monotone counters, what is pending (0 when drained), when next due.

    `next_due` is law time, None when nothing is planned.
    """

    counters: dict[str, int]
    pending: dict[str, int]
    next_due: datetime | None = None


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["live", "started"]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Every condition of taking work holds."""

    status: Literal["ready"]
    checks: dict[str, bool]


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return any msgspec-encodable value as a JSON answer."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


class Health:
    """Answers liveness, readiness and start-up; remembers that the process was ready once."""

    def __init__(self, readiness: Callable[[], Mapping[str, bool]]) -> None:
        self._readiness = readiness
        self._was_ready = False

    def was_ready(self) -> bool:
        """Say whether every condition of taking work held at least once."""
        self._was_ready = self._was_ready or all(self._readiness().values())
        return self._was_ready

    async def live(self) -> Response:
        """The process answers: nothing else is asked, so that a slow database restarts nobody."""
        return json_response(Alive(status="live"))

    async def ready(self) -> Response:
        """Every condition of taking work holds; false while stopping."""
        self.was_ready()
        checks = dict(self._readiness())
        if not all(checks.values()):
            raise _not_ready(checks)
        return json_response(Ready(status="ready", checks=checks))

    async def startup(self) -> Response:
        """The process was ready once."""
        if not self.was_ready():
            raise _not_ready(self._readiness())
        return json_response(Alive(status="started"))


def standard_routes(health: Health, progress: Callable[[], Awaitable[Progress]]) -> APIRouter:
    """Health, metrics and progress, the same in every service."""

    async def read_metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)

    async def read_progress(_: Annotated[Principal, Depends(require("operator"))]) -> Response:
        """Counters, what is pending, and when something is next due (law time)."""
        return json_response(await progress())

    router = APIRouter()
    for name, answer, gives in (
        ("live", health.live, Alive),
        ("ready", health.ready, Ready),
        ("startup", health.startup, Alive),
    ):
        told = operation(f"health_{name}", gives=gives, refuses=(503,))
        router.get(f"/health/{name}", tags=["health"], openapi_extra=told)(answer)
    told = operation("read_metrics", gives=None) | {"responses": {"200": METRICS_ANSWER}}
    router.get("/metrics", tags=["health"], openapi_extra=told)(read_metrics)
    told = operation("read_progress", gives=Progress)
    router.get("/v1/progress", tags=["operations"], openapi_extra=told)(read_progress)
    return router


def _not_ready(checks: Mapping[str, bool]) -> Problem:
    missing = ", ".join(name for name, holds in checks.items() if not holds)
    detail = f"Not ready: {missing}. Try again shortly."
    return Problem(503, "Not ready", detail, "not-ready", extensions={"checks": dict(checks)})
