"""The ledger's process: what it opens, which loops run, in which order.

In: settings. Out: a running service. HTTP comes first (health answers early), then the database,
the topics, the configuration, and last the recorders; it all stops in reverse.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from fastapi import FastAPI

from services.contact_ledger import api
from services.contact_ledger.api.about import ABOUT
from services.contact_ledger.api.reading import Reading
from services.contact_ledger.figures import LedgerFigures
from services.contact_ledger.holds import HoldRecorder, end_reading
from services.contact_ledger.opening import Opener
from services.contact_ledger.progress import STARTING, ProgressReport
from services.contact_ledger.recorder import Recorder
from services.contact_ledger.sealing import KeyCache, KeyWrap
from services.contact_ledger.settings import LedgerSettings
from services.contact_ledger.store import feed, keys, months
from services.contact_ledger.traces import GROUP
from services.contact_ledger.writer import Writer
from shared.clock import Clock
from shared.directory import Directory
from shared.events.topics import CONTACT_EVENTS, CONTACT_HOLDS, DEBT_EVENTS, PLATFORM_CONFIG
from shared.http.server import HttpServer, Progress, create_app
from shared.kafka import admin
from shared.kafka.client import ConsumerSettings
from shared.kafka.cluster import cluster_of
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.ends import LogEnds
from shared.kafka.errors import PartitionCountChanged
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.postgres import TRANSIENT_ERRORS, Connection, Pool, is_away, migrate, open_pool
from shared.privacy import Keyring, Sealer, key_bytes
from shared.runtime import Service
from shared.settings import CannotStart

RECORDED_TOPICS = (DEBT_EVENTS.name, CONTACT_EVENTS.name)
MONTHS_CHECKED_SECONDS = 3_600.0  # partitions are made two months ahead: an hour is soon enough
MONTHS_RETRY_SECONDS = 10.0


class Ledger:
    """The parts of one ledger process, made in `assemble`."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._cache = KeyCache()
        self._wrap = KeyWrap(key_bytes(settings.ledger_kek.get_secret_value()))
        self._keyring = Keyring.parse(settings.lookup_key.get_secret_value())
        self._directory = Directory()
        self._clock = Clock(sandbox=settings.mode == "sandbox")
        self._config = CompactedReader(cluster_of(settings), PLATFORM_CONFIG.name)
        self._reading = Reading(
            opener=Opener(
                wrap=self._wrap,
                cache=self._cache,
                texts=Sealer(key_bytes(settings.text_key.get_secret_value())),
            ),
            keyring=self._keyring,
            directory=self._directory,
        )
        self._report: ProgressReport | None = None

    async def assemble(self, service: Service) -> None:
        """Open everything and add the loops."""
        settings = self._settings
        app = self.application(service.readiness)
        await service.open("http", HttpServer.start(app, settings), HttpServer.stop)
        pool = await service.open(
            "database",
            open_pool(
                settings.postgres_url.get_secret_value(),
                service=settings.service_name,
                max_size=settings.database_pool_max,
            ),
            Pool.close,
        )
        await self._check_schema()
        await self._clock.start(pool)
        async with pool.acquire() as conn:
            await feed.ensure_generation(conn)
            await self._check_keys(conn)
        self._reading.attach(pool)
        await self._check_topics()
        service.add("clock", lambda stop: self._clock.run(pool, stop))
        service.add("months", lambda stop: self._keep_months(pool, stop))
        service.add("configuration", self._follow_configuration)
        service.check("configuration", self._config.caught_up.is_set)
        await self._add_recorders(service, pool)

    def application(self, readiness: Callable[[], Mapping[str, bool]]) -> FastAPI:
        """Return the doors as one application; nothing need be open to read its document."""
        return create_app(
            service=self._settings.service_name,
            settings=self._settings,
            auth=self._directory,
            machine_now=self._clock.machine_now,
            routers=api.routers(self._reading),
            readiness=readiness,
            progress=self.progress,
            about=ABOUT,
            is_away=is_away,
        )

    async def progress(self) -> Progress:
        """How much is recorded, and what waits."""
        return STARTING if self._report is None else await self._report.progress()

    async def _check_schema(self) -> None:
        url = self._settings.postgres_url.get_secret_value()
        try:
            await asyncio.to_thread(migrate.check, self._settings.service_name, url)
        except migrate.SchemaTooOld as error:
            raise CannotStart(str(error)) from None

    async def _check_keys(self, conn: Connection) -> None:
        """Refuse a wrong LEDGER_KEK at once: it would make unreadable what others still read."""
        used = await keys.a_kek_in_use(conn)
        if used is not None and not self._wrap.knows(used):
            msg = "LEDGER_KEK is not the key that this ledger's data keys are wrapped with"
            raise CannotStart(msg)

    async def _check_topics(self) -> None:
        settings = self._settings
        try:
            await admin.ensure_topics(
                cluster_of(settings),
                partitions=settings.kafka_partitions,
                replication=settings.kafka_replication,
            )
        except PartitionCountChanged as error:
            raise CannotStart(str(error)) from None

    async def _add_recorders(self, service: Service, pool: Pool) -> None:
        settings = self._settings
        producer = await service.open("producer", _producer(settings), Producer.stop)
        writer = Writer(wrap=self._wrap, keyring=self._keyring, cache=self._cache)
        recorder = Recorder(
            pool=pool,
            consumer=GroupConsumer(
                cluster_of(settings),
                GROUP,
                RECORDED_TOPICS,
                ConsumerSettings(session_timeout_ms=settings.kafka_session_timeout_ms),
            ),
            dead_letters=DeadLetters(producer),
            writer=writer,
            records_max=settings.batch_records_max,
        )
        holds = HoldRecorder(
            pool=pool,
            reader=CompactedReader(cluster_of(settings), CONTACT_HOLDS.name),
            writer=writer,
        )
        ends = await service.open("log_ends", _log_ends(settings), LogEnds.close)
        self._report = ProgressReport(pool, ends, recorder, holds)
        service.check("partitions", lambda: not recorder.stopped_partitions)
        figures = LedgerFigures(pool, ends, self._directory, self._clock.law_now).all()
        service.add("recorder", recorder.run)
        service.add("holds", holds.run)
        service.add("figures", figures.run, critical=False)

    async def _follow_configuration(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(end_reading(stop, self._config))
            await self._directory.follow(self._config)
            ending.cancel()

    async def _keep_months(self, pool: Pool, stop: asyncio.Event) -> None:
        """Make the coming months ahead; what law time jumps into is made by the recorder."""
        while not stop.is_set():
            pause = MONTHS_CHECKED_SECONDS
            try:
                async with pool.acquire() as conn:
                    await months.make(conn, months.ahead_of(self._clock.law_now()))
            except TRANSIENT_ERRORS:
                pause = MONTHS_RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)


async def _producer(settings: LedgerSettings) -> Producer:
    producer = Producer(cluster_of(settings), client_id=settings.service_name)
    await producer.start()
    return producer


async def _log_ends(settings: LedgerSettings) -> LogEnds:
    return LogEnds(cluster_of(settings), RECORDED_TOPICS)
