"""POST /v1/events and /v1/events:bulk: debt events in, one result per event out.

In: CloudEvents (structured, batch, binary) or NDJSON, at most 1,000 events and 8 MiB. Out: 202
with a result per event; a single event that is refused answers with its problem. An
`Idempotency-Key` makes a repeated request give the first answer again; another body is a conflict.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import schemas
from services.scheduler.api.callers import tenant_of
from services.scheduler.intake import parse
from services.scheduler.intake.draft import Draft, Sender
from services.scheduler.intake.parse import Parsed
from services.scheduler.intake.record import Outcome, Recorder
from services.scheduler.store import intake as store
from services.scheduler.store.intake import StoredAnswer
from shared.clock import Clock
from shared.directory import Directory
from shared.events.configuration import Portfolio
from shared.http.auth import principal_of
from shared.http.edge import trace_of
from shared.http.problems import FieldError, Problem, invalid
from shared.http.server import RawRoute, raw_route
from shared.postgres.batches import BatchWriter
from shared.postgres.connection import Connection, Pool, UniqueViolation
from shared.telemetry import tracing

ACCEPTED = 202
CONFLICT = 409
IDEMPOTENCY_KEY_CHARS_MAX = 255
CLOCK_SKEW = timedelta(days=1)  # clients' clocks and dates without zones are off by hours, not days
SINGLES_MAX = 500  # single posts that share one transaction under load
STATUSES = ["accepted", "duplicate", "parked", "refused"]
EVENT_TYPES = (parse.SINGLE, parse.BATCH, parse.JSON)


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event; `status` is accepted, duplicate, parked or refused."""

    index: int
    status: Annotated[str, Meta(extra_json_schema={"enum": STATUSES})]
    id: str | None = None
    event_id: UUID | None = None
    problem: schemas.ProblemBody | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request; parked events count as accepted."""

    accepted: int
    duplicates: int
    refused: int
    results: list[Result]


class EventsDoor:
    """Reads, records, answers. One per process."""

    def __init__(
        self,
        *,
        pool: Pool,
        recorder: Recorder,
        directory: Directory,
        clock: Clock,
        trace_sample_ratio: float,
    ) -> None:
        self._pool = pool
        self._recorder = recorder
        self._directory = directory
        self._clock = clock
        self._trace_sample_ratio = trace_sample_ratio
        self._singles: BatchWriter[Draft, Outcome] = BatchWriter(
            self._recorder.record, max_items=SINGLES_MAX
        )

    def routes(self) -> list[RawRoute]:
        """The two routes, answered at the edge: no framework between a batch and its rows."""
        return [
            raw_route(
                "/v1/events:bulk",
                self._bulk,
                scope="events:write",
                content_types=(parse.NDJSON,),
                operation=schemas.post_lines(Answer),
            ),
            raw_route(
                "/v1/events",
                self._events,
                scope="events:write",
                content_types=EVENT_TYPES,
                operation=schemas.post_events(Answer),
            ),
        ]

    def pending(self) -> int:
        """Single posts waiting to be written."""
        return self._singles.pending()

    async def close(self) -> None:
        """Write what waits; accept nothing more."""
        await self._singles.close()

    async def _events(self, request: Request) -> Response:
        body = await request.body()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        sender, trace = self._sender(request), self._tracer(request)
        if kind == parse.BATCH:
            return await self._answer(request, body, parse.batch(body, sender, trace))
        if "ce-id" in request.headers:
            parsed = parse.binary(body, request.headers, sender, trace)
        elif kind == parse.SINGLE:
            parsed = parse.structured(body, sender, trace)
        else:
            detail = f"Send {parse.SINGLE} or {parse.BATCH}, or application/json with ce-* headers."
            raise Problem(415, detail=detail, type_slug="unsupported-media-type")
        return await self._answer(request, body, parsed, single=True)

    async def _bulk(self, request: Request) -> Response:
        body = await request.body()
        parsed = parse.ndjson(body, self._sender(request), self._tracer(request))
        return await self._answer(request, body, parsed)

    async def _answer(
        self, request: Request, body: bytes, parsed: list[Parsed], *, single: bool = False
    ) -> Response:
        key = request.headers.get("idempotency-key")
        if key is not None:
            return await self._answer_once(request, key, body, parsed, single=single)
        drafts = [one.draft for one in parsed if one.draft is not None]
        if single and drafts:
            outcomes = [await self._singles.submit(drafts[0])]
        else:
            cause = trace_of(request)
            outcomes = await self._recorder.record(drafts, cause=cause) if drafts else []
        answer = _answer_of(parsed, outcomes)
        _raise_single(answer, parsed, outcomes, single=single)
        return _response(msgspec.json.encode(answer))

    async def _answer_once(
        self, request: Request, key: str, body: bytes, parsed: list[Parsed], *, single: bool
    ) -> Response:
        """Answer a keyed request: the stored answer, or record and store one with the events."""
        if not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX:
            raise invalid(
                [
                    FieldError(
                        field="Idempotency-Key",
                        message=f"not 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters",
                        remedy="send one random key per request, e.g. a UUID",
                    )
                ]
            )
        tenant_id = self._tenant(request)
        key_hash = hashlib.sha256(key.encode()).digest()
        body_hash = _request_hash(request, body)
        stored = await self._stored(tenant_id, key_hash)
        if stored is not None:
            return _repeated(stored, body_hash)
        drafts = [one.draft for one in parsed if one.draft is not None]
        answers: list[bytes] = []

        async def keep(conn: Connection, outcomes: list[Outcome]) -> None:
            answer = _answer_of(parsed, outcomes)
            _raise_single(answer, parsed, outcomes, single=single)
            answers.append(msgspec.json.encode(answer))
            given = StoredAnswer(body_hash=body_hash, status=ACCEPTED, answer=answers[-1])
            await store.save_answer(conn, tenant_id, key_hash, given)

        if not drafts:
            answer = _answer_of(parsed, [])
            _raise_single(answer, parsed, [], single=single)
            return _response(msgspec.json.encode(answer))
        try:
            await self._recorder.record(drafts, keep, trace_of(request))
        except UniqueViolation:  # the same request was running beside this one and won
            stored = await self._stored(tenant_id, key_hash)
            if stored is None:
                raise
            return _repeated(stored, body_hash)
        return _response(answers[-1])

    async def _stored(self, tenant_id: str, key_hash: bytes) -> StoredAnswer | None:
        async with self._pool.acquire() as conn:
            return await store.find_answer(conn, tenant_id, key_hash)

    def _tenant(self, request: Request) -> str:
        tenant_id = tenant_of(principal_of(request), request.query_params.get("tenant"))
        if self._directory.get("tenant", tenant_id, tenant_id) is None:
            raise Problem(403, detail="There is no such tenant, or it was deleted.")
        return tenant_id

    def _sender(self, request: Request) -> Sender:
        tenant_id = self._tenant(request)
        now = max(self._clock.law_now(), self._clock.machine_now())

        def portfolio(portfolio_id: str) -> Portfolio | None:
            return self._directory.body("portfolio", tenant_id, portfolio_id, Portfolio)

        return Sender(tenant_id=tenant_id, latest=now + CLOCK_SKEW, portfolio=portfolio)

    def _tracer(self, request: Request) -> Callable[[], str]:
        """Go on with the caller's trace; without one the first event goes on with the request's.

        Every further event of a batch decides for itself, so that no trace holds a thousand.
        """
        of_request = trace_of(request)
        given = request.headers.get("traceparent")
        if given is not None and tracing.is_traceparent(given):
            return lambda: of_request
        first = [of_request]
        return lambda: first.pop() if first else tracing.new_traceparent(self._trace_sample_ratio)


def _request_hash(request: Request, body: bytes) -> bytes:
    """Tell one request from another: in binary form an event's id and type are headers."""
    told = sorted(
        (name, value)
        for name, value in request.headers.items()
        if name.startswith("ce-") or name == "content-type"
    )
    parts = [request.url.path, *(text for header in told for text in header)]
    return hashlib.sha256("\x00".join(parts).encode() + b"\x00" + body).digest()


def _answer_of(parsed: list[Parsed], outcomes: list[Outcome]) -> Answer:
    waiting = iter(outcomes)
    results: list[Result] = []
    for index, one in enumerate(parsed):
        outcome = next(waiting) if one.draft is not None else None
        problem = outcome.problem if outcome is not None else one.problem
        results.append(
            Result(
                index=index,
                status=outcome.status if outcome is not None else "refused",
                id=one.client_id,
                event_id=outcome.event_id if outcome is not None else None,
                problem=problem.body() if problem is not None else None,
            )
        )
    statuses = [result.status for result in results]
    return Answer(
        accepted=statuses.count("accepted") + statuses.count("parked"),
        duplicates=statuses.count("duplicate"),
        refused=statuses.count("refused"),
        results=results,
    )


def _raise_single(
    answer: Answer, parsed: list[Parsed], outcomes: list[Outcome], *, single: bool
) -> None:
    """A single event that is refused answers with its problem, not with a list of one."""
    if not single or not answer.refused:
        return
    problem = outcomes[0].problem if outcomes else parsed[0].problem
    if problem is not None:
        raise problem


def _repeated(stored: StoredAnswer, body_hash: bytes) -> Response:
    if stored.body_hash != body_hash:
        detail = "This Idempotency-Key was used for another request; use a new key for a new one."
        raise Problem(CONFLICT, "The key was used before", detail, "idempotency-key-reused")
    return _response(stored.answer, status=stored.status, repeated=True)


def _response(body: bytes, *, status: int = ACCEPTED, repeated: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if repeated else None
    return Response(body, status, headers, media_type="application/json")
