"""One sender service: everything wired, started in order, in one process.

In: a `Channel` and its settings class. Out: `python -m services.<name> serve | migrate | settings`.
The HTTP server starts first after the database (health answers early); tasks are read last, when
configuration and holds are there. It all stops in reverse: tasks first, receipts and relays last.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
from fastapi import FastAPI

from shared import settings as settings_of
from shared.http.server import HttpServer, create_app
from shared.kafka import admin
from shared.kafka.cluster import cluster_of
from shared.kafka.ends import LogEnds
from shared.kafka.errors import PartitionCountChanged
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.postgres import Pool, is_away, migrate, open_pool
from shared.runtime import EXIT_CANNOT_START, CannotStart, Service
from shared.sender.about import about
from shared.sender.calls import new_client
from shared.sender.channel import Channel
from shared.sender.doors import Door
from shared.sender.parts import Sender
from shared.sender.progress import progress
from shared.sender.provider import KeepsConnections, Provider
from shared.sender.settings import SenderSettings
from shared.sender.webhooks import Webhooks

CATCH_UP_SECONDS_MAX = 60.0  # configuration and holds are small topics

R = TypeVar("R")


def run_sender(
    channel: Channel[Any],
    settings_cls: type[SenderSettings],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one command of a sender service; return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{channel.service}")
    parser.add_argument("command", choices=("serve", "migrate", "settings"))
    command = parser.parse_args(arguments).command
    if command == "settings":
        sys.stdout.write(settings_of.markdown(settings_cls))
        return 0
    settings = settings_of.load(settings_cls)
    if command == "migrate":
        return _migrate(settings)
    return Service(settings).run(lambda service: assemble(service, channel, settings))


def _migrate(settings: SenderSettings) -> int:
    name = settings.service_name
    try:
        revision = migrate.upgrade(name, settings.postgres_url.get_secret_value())
    except OSError as error:
        reason = type(error).__name__
        sys.stderr.write(f"{name}: the database does not answer ({reason}): see POSTGRES_URL\n")
        return EXIT_CANNOT_START
    sys.stdout.write(f"{name}: schema at revision {revision}\n")
    return 0


async def assemble(service: Service, channel: Channel[Any], settings: SenderSettings) -> None:
    """Open everything and add the loops, in the order in which they depend on each other."""
    pool = await _database(service, settings)
    calls_max = settings.provider_calls_max
    client = await service.open(
        "provider_client",
        _made(
            lambda: new_client(
                calls_max,
                settings.provider_connect_seconds_max,
                settings.provider_read_seconds_max,
            )
        ),
        aiohttp.ClientSession.close,
    )
    await service.open("providers", _made(channel.providers.values), close_providers)
    sender = Sender(channel, settings, pool, client)
    await sender.clock.start(pool)
    await sender.upkeep.once()
    app = application(sender, service.readiness)
    # Closed after the server: whatever it has taken in is stored.
    await service.open("webhooks", _made(lambda: sender.webhooks), Webhooks.close)
    await service.open("http", HttpServer.start(app, settings), HttpServer.stop)
    for door in sender.doors:
        await service.open(door.name, _opened(door), Door.stop)
    service.add("clock", lambda stop: sender.clock.run(pool, stop))
    await _connect(service, sender)
    await _follow(service, sender)
    service.add("receipts", sender.interpreter.run)
    service.add("sweeper", sender.sweeper.run)
    service.add("upkeep", sender.upkeep.run)
    service.add("deliver", sender.deliverer.run)
    service.add("retries", sender.retries.run)
    service.add("tasks", sender.feed.run)
    service.add("figures", sender.figures().run, critical=False)


def application(sender: Sender, readiness: Callable[[], Mapping[str, bool]]) -> FastAPI:
    """Return a sender's doors; nothing need be open to read their document."""
    settings = sender.settings
    return create_app(
        service=settings.service_name,
        settings=settings,
        auth=sender.directory,
        machine_now=sender.clock.machine_now,
        routers=[sender.webhooks.route(), *(r for door in sender.doors for r in door.routes())],
        readiness=readiness,
        progress=lambda: progress(sender.parts()),
        about=about(sender.channel, type(settings).model_fields["http_port"].default),
        is_away=is_away,
    )


async def _database(service: Service, settings: SenderSettings) -> Pool:
    url = settings.postgres_url.get_secret_value()
    pool = await service.open(
        "database",
        open_pool(url, service=settings.service_name, max_size=settings.database_pool_max),
        Pool.close,
    )
    try:
        await asyncio.to_thread(migrate.check, settings.service_name, url)
    except migrate.SchemaTooOld as error:
        raise CannotStart(str(error)) from None
    return pool


async def _connect(service: Service, sender: Sender) -> None:
    """Connect to Kafka, check the topics, start the relays."""
    settings = sender.settings
    try:
        await admin.ensure_topics(
            cluster_of(settings),
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
            suffix=settings.topic_suffix,
        )
    except PartitionCountChanged as error:
        raise CannotStart(str(error)) from None
    await service.open("producer", _started(sender.producer), Producer.stop)
    await service.open("log_ends", _made(lambda: sender.ends), LogEnds.close)
    service.add("lane", sender.lane.run)
    service.add("relay", sender.relay.run)


async def _follow(service: Service, sender: Sender) -> None:
    """Follow configuration and holds; go on when both have been read to their ends."""
    service.add(
        "follow_config",
        _until_stopped(sender.config_reader, lambda: sender.directory.follow(sender.config_reader)),
    )
    service.add("follow_holds", _until_stopped(sender.holds_reader, sender.holds.follow))
    service.check("holds_feed", sender.holds.current)
    try:
        async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
            await sender.config_reader.caught_up.wait()
            await sender.holds_reader.caught_up.wait()
    except TimeoutError:
        message = "configuration and holds could not be read from Kafka in time"
        raise CannotStart(message) from None


def _until_stopped(
    reader: CompactedReader, follow: Callable[[], Awaitable[None]]
) -> Callable[[asyncio.Event], Any]:
    """Return a loop that follows a compacted topic until it is told to stop."""

    async def loop(stop: asyncio.Event) -> None:
        async def end() -> None:
            await stop.wait()
            await reader.stop()

        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(end())
            await follow()
            ending.cancel()

    return loop


async def _opened(door: Door) -> Door:
    await door.start()
    return door


async def close_providers(providers: Iterable[Provider[Any]]) -> None:
    """Close what providers keep open besides the process's HTTP client."""
    for provider in providers:
        if isinstance(provider, KeepsConnections):
            await provider.close()


async def _started(producer: Producer) -> Producer:
    await producer.start()
    return producer


async def _made(make: Callable[[], R]) -> R:
    """A resource that needs no opening, only closing in its turn."""
    return make()
