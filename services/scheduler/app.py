"""The scheduler's process: what it opens, which loops run, in which order.

In: settings. Out: a running service. Database and configuration first, then HTTP (health answers
early), then Kafka: relays, followers, and the planner last, when everything it reads is there.
Stops in reverse.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from fastapi import FastAPI

from services.scheduler.api import clock as clock_api
from services.scheduler.api import configuration as configuration_api
from services.scheduler.api import explain as explain_api
from services.scheduler.api import holds as holds_api
from services.scheduler.api import keys as keys_api
from services.scheduler.api import work_items as work_items_api
from services.scheduler.api.about import ABOUT
from services.scheduler.api.events import EventsDoor
from services.scheduler.api.explain import ExplainDoor
from services.scheduler.configuration import Configuration
from services.scheduler.dispatcher import Dispatch
from services.scheduler.figures import figures
from services.scheduler.holds import Holds
from services.scheduler.intake.record import Recorder
from services.scheduler.planner import Planner
from services.scheduler.progress import FOLDED_TOPICS, Counting, ProgressReport
from services.scheduler.recovery import Recovery
from services.scheduler.rulebooks import Rulebooks
from services.scheduler.settings import SchedulerSettings
from services.scheduler.shard_worker import ShardTools
from services.scheduler.store import intake as intake_store
from services.scheduler.work_items import WorkItems
from shared.clock import Clock
from shared.directory import Directory
from shared.events.topics import CONTACT_HOLDS, PLATFORM_CONFIG
from shared.http.server import HttpServer, create_app
from shared.kafka.admin import Layout, ensure_topics
from shared.kafka.client import ConsumerSettings
from shared.kafka.cluster import cluster_of
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.ends import LogEnds
from shared.kafka.errors import PartitionCountChanged
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.postgres import is_away, migrate, offsets, open_pool
from shared.postgres.connection import Pool
from shared.postgres.lane import LaneRelay
from shared.postgres.relay import Relay
from shared.privacy import Keyring, address_subject, key_bytes
from shared.runtime import CannotStart, Service

R = TypeVar("R")

GROUP = "scheduler.planner"
CATCH_UP_SECONDS_MAX = 60.0  # holds and configuration are small topics
FORGET_SECONDS = 3_600.0  # between two looks for old answers
ANSWERS_KEPT_HOURS = 72  # a client that repeats a request does so within a weekend
ANSWERS_PER_PAGE = 5_000


class Scheduler:
    """The parts of one process, made before anything runs."""

    def __init__(self, settings: SchedulerSettings, pool: Pool) -> None:
        self.settings = settings
        self.pool = pool
        self.sandbox = settings.mode == "sandbox"
        self.keyring = Keyring.parse(settings.identity_keys.get_secret_value())
        self.address_key = key_bytes(settings.address_key.get_secret_value())
        self.clock = Clock(sandbox=self.sandbox)
        self.directory = Directory()
        self.rulebooks = Rulebooks(self.directory)
        self.producer = Producer(cluster_of(settings), client_id="regua-scheduler")
        self.layout = Layout(
            partitions=settings.kafka_partitions, replication=settings.kafka_replication
        )
        self.holds = Holds(pool, wake=self.wake)
        self.configuration = Configuration(
            pool, self.directory, sandbox=self.sandbox, wake=self.wake
        )
        self.recovery = Recovery(pool, self.configuration)
        self.relay = Relay(
            pool, self.producer, layout=self.layout, on_log_lost=self.recovery.publish_again
        )
        self.lane = LaneRelay(
            pool, self.producer, marks=True, layout=self.layout, on_log_lost=self.holds.republish
        )
        self.recorder = Recorder(
            pool, keyring=self.keyring, address_key=self.address_key, wake=self.wake
        )
        self.events = EventsDoor(
            pool=pool,
            recorder=self.recorder,
            directory=self.directory,
            clock=self.clock,
            trace_sample_ratio=settings.trace_sample_ratio,
        )
        self.planner = self._planner()
        self.ends = LogEnds(cluster_of(settings), FOLDED_TOPICS)

    def wake(self) -> None:
        """Tell both relays that something was committed."""
        self.relay.wake()
        self.lane.wake()

    def address_subject_of(self, tenant_id: str, channel: str, address: str) -> str:
        """Return the hold subject of an address."""
        return address_subject(self.address_key, tenant_id, channel, address)

    def routers(self) -> Sequence[Any]:
        """Return every door of the service."""
        return [
            *self.events.routes(),
            holds_api.create_router(self.pool, self.holds, address_key=self.address_key),
            configuration_api.create_router(self.pool, self.configuration),
            keys_api.create_router(self.pool, self.configuration),
            work_items_api.create_router(self.pool, WorkItems(self.pool, wake=self.wake)),
            clock_api.create_router(self.pool, self.clock, sandbox=self.sandbox),
            explain_api.create_router(
                ExplainDoor(
                    self.pool,
                    self.rulebooks,
                    self.keyring,
                    address_subject_of=self.address_subject_of,
                )
            ),
        ]

    def application(self, readiness: Callable[[], Mapping[str, bool]]) -> FastAPI:
        """Return the doors as one application; nothing need be open to read its document."""
        return create_app(
            service="scheduler",
            settings=self.settings,
            auth=self.directory,
            machine_now=self.clock.machine_now,
            routers=self.routers(),
            readiness=readiness,
            progress=self.report().progress,
            about=ABOUT,
            is_away=is_away,
        )

    def report(self) -> ProgressReport:
        """Return what answers GET /v1/progress."""
        counting = Counting(
            accepted=lambda: self.recorder.accepted_total,
            posts_waiting=self.events.pending,
            records_waiting=self.planner.pending,
        )
        return ProgressReport(self.pool, self.relay, self.lane, self.ends, counting)

    def _planner(self) -> Planner:
        settings = self.settings
        dispatch = Dispatch(
            rulebook_of=self.rulebooks.of,
            rate_of=self.rulebooks.rate,
            address_subject_of=self.address_subject_of,
            shards=settings.kafka_partitions,
        )
        tools = ShardTools(
            pool=self.pool,
            dispatch=dispatch,
            dead_letters=DeadLetters(self.producer),
            wake_relay=self.wake,
            observe_clock=self.clock.observe,
            group=GROUP,
            trace_sample_ratio=settings.trace_sample_ratio,
        )
        consumer = GroupConsumer(
            cluster_of(settings),
            GROUP,
            FOLDED_TOPICS,
            ConsumerSettings(session_timeout_ms=settings.kafka_session_timeout_ms),
        )
        planner = Planner(pool=self.pool, consumer=consumer, tools=tools, owner=uuid4().hex)
        self.clock.on_step(planner.wake)
        return planner


async def assemble(service: Service, settings: SchedulerSettings) -> None:
    """Open everything and add the loops, in the order in which they depend on each other."""
    url = settings.postgres_url.get_secret_value()
    pool = await service.open(
        "database",
        open_pool(url, service="scheduler", max_size=settings.database_pool_max),
        Pool.close,
    )
    await check_database(pool, url, sandbox=settings.mode == "sandbox")
    scheduler = Scheduler(settings, pool)
    async with pool.acquire() as conn:
        await scheduler.clock.refresh(conn)
    await scheduler.configuration.load()
    app = scheduler.application(service.readiness)
    await service.open("http", HttpServer.start(app, settings), HttpServer.stop)
    await service.open("events", _nothing(scheduler.events), EventsDoor.close)
    service.add("clock", lambda stop: scheduler.clock.run(pool, stop))
    await _connect(service, scheduler)
    await _follow(service, scheduler)
    service.add("forget_answers", _forgetting(pool), critical=False)
    service.add("planner", scheduler.planner.run)
    service.add("figures", figures(pool, scheduler.ends).run, critical=False)


async def check_database(pool: Pool, url: str, *, sandbox: bool) -> None:
    """Refuse to start on a schema that is too old, or with the other kind of clock."""
    try:
        migrate.check("scheduler", url)
    except migrate.SchemaTooOld as error:
        raise CannotStart(str(error)) from None
    mode = await pool.fetchval("SELECT mode FROM platform.law_clock")
    wanted = "sandbox" if sandbox else "production"
    if mode != wanted:
        raise CannotStart(f"the database's law clock is in {mode} mode: set MODE={mode}")


async def _connect(service: Service, scheduler: Scheduler) -> None:
    """Connect to Kafka, check the topics, start the relays."""
    settings = scheduler.settings
    try:
        await ensure_topics(
            cluster_of(settings),
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
        )
        async with scheduler.pool.acquire() as conn:
            for topic in FOLDED_TOPICS:
                await offsets.check_partition_count(conn, topic, settings.kafka_partitions)
    except PartitionCountChanged as error:
        raise CannotStart(str(error)) from None
    await service.open("producer", _started(scheduler.producer), Producer.stop)
    await service.open("log_ends", _nothing(scheduler.ends), LogEnds.close)
    service.add("lane", scheduler.lane.run)
    service.add("relay", scheduler.relay.run)


async def _follow(service: Service, scheduler: Scheduler) -> None:
    """Follow configuration and holds; go on when both have been read to their ends."""
    brokers = cluster_of(scheduler.settings)
    config = CompactedReader(brokers, PLATFORM_CONFIG.name)
    holds = CompactedReader(brokers, CONTACT_HOLDS.name)
    service.add("follow_config", _until_stopped(config, scheduler.directory.follow))
    service.add("follow_holds", _until_stopped(holds, scheduler.holds.follow))
    try:
        async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
            await config.caught_up.wait()
            await holds.caught_up.wait()
    except TimeoutError:
        raise CannotStart("configuration and holds could not be read from Kafka in time") from None


def _until_stopped(
    reader: CompactedReader, follow: Callable[[Any], Any]
) -> Callable[[asyncio.Event], Any]:
    """Return a loop that follows a compacted topic until it is told to stop."""

    async def loop(stop: asyncio.Event) -> None:
        async def end() -> None:
            await stop.wait()
            await reader.stop()

        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(end())
            await follow(reader)
            ending.cancel()

    return loop


def _forgetting(pool: Pool) -> Callable[[asyncio.Event], Any]:
    """Return a loop that deletes old answers to Idempotency-Keys, a page at a time."""

    async def loop(stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with pool.acquire() as conn:
                count = await intake_store.forget_answers(
                    conn, older_than_hours=ANSWERS_KEPT_HOURS, limit=ANSWERS_PER_PAGE
                )
            pause = 0.0 if count == ANSWERS_PER_PAGE else FORGET_SECONDS
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue

    return loop


async def _started(producer: Producer) -> Producer:
    await producer.start()
    return producer


async def _nothing(resource: R) -> R:
    """A resource that needs no opening, only closing in its turn."""
    return resource
