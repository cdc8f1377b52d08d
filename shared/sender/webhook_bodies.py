"""The body of a webhook, read up to a bound: a stranger's, until its signature is checked."""

from starlette.requests import Request

from shared.http.problems import Problem
from shared.telemetry import metrics

BODY_BYTES_MAX = 262_144  # a webhook has one or two kilobytes; batches of a few hundred fit, too


async def read_body(request: Request) -> bytes:
    """Return the body; raise 413 beyond the bound, whether declared or not."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():  # a stranger's: nothing beyond the bound is kept
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _too_large() -> Problem:
    metrics.SENDER_WEBHOOKS.labels("too_large").inc()
    return Problem(
        413,
        detail=f"A webhook has at most {BODY_BYTES_MAX} bytes.",
        headers={"Connection": "close"},
    )
