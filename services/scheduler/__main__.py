"""Command line of the scheduler: serve, topics, migrate, settings, bootstrap, explain.

In: arguments and the environment. Out: a running service, or one answer on standard output.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.scheduler.app import Scheduler, assemble, check_database
from services.scheduler.explaining import NotFound, explain_debtor
from services.scheduler.settings import SchedulerSettings
from shared import settings as settings_of
from shared.kafka.admin import ensure_topics
from shared.kafka.client import ConnectionFailures
from shared.kafka.cluster import cluster_of
from shared.kafka.errors import PartitionCountChanged
from shared.postgres import migrate, open_pool
from shared.runtime import EXIT_CANNOT_START, CannotStart, Service

EXIT_REFUSED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.command == "settings":
        sys.stdout.write(settings_of.markdown(SchedulerSettings))
        return 0
    settings = settings_of.load(SchedulerSettings)
    if chosen.command == "serve":
        service = Service(settings)
        return service.run(lambda running: assemble(running, settings))
    if chosen.command == "topics":
        return asyncio.run(_topics(settings))
    try:
        return _run(chosen, settings)
    except CannotStart as error:
        sys.stderr.write(f"scheduler: {error}\n")
        return EXIT_CANNOT_START
    except OSError as error:
        reason = type(error).__name__
        sys.stderr.write(f"scheduler: the database does not answer ({reason}): see POSTGRES_URL\n")
        return EXIT_CANNOT_START


def _run(chosen: argparse.Namespace, settings: SchedulerSettings) -> int:
    if chosen.command == "migrate":
        revision = migrate.upgrade("scheduler", settings.postgres_url.get_secret_value())
        sys.stdout.write(f"scheduler: schema at revision {revision}\n")
        return 0
    if chosen.command == "bootstrap":
        return asyncio.run(_bootstrap(settings, force_new=chosen.force_new))
    return asyncio.run(_explain(settings, chosen.debtor_id))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.scheduler", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service")
    commands.add_parser("topics", help="create the topics that are missing, check the others")
    commands.add_parser("migrate", help="bring the schema to the newest revision")
    commands.add_parser("settings", help="list every environment variable")
    bootstrap = commands.add_parser("bootstrap", help="make the first platform key and print it")
    bootstrap.add_argument(
        "--force-new", action="store_true", help="make another one although there is one"
    )
    explain = commands.add_parser("explain", help="say what would happen to a debtor now, and why")
    explain.add_argument("debtor_id", type=UUID)
    return parser


async def _topics(settings: SchedulerSettings) -> int:
    try:
        await ensure_topics(
            cluster_of(settings),
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
        )
    except PartitionCountChanged as error:
        sys.stderr.write(f"scheduler: {error}\n")
        return EXIT_CANNOT_START
    except ConnectionFailures as error:
        reason = type(error).__name__
        sys.stderr.write(f"scheduler: Kafka does not answer ({reason}): see KAFKA_BOOTSTRAP\n")
        return EXIT_CANNOT_START
    sys.stdout.write(f"scheduler: every topic is there, {settings.kafka_partitions} partitions\n")
    return 0


async def _bootstrap(settings: SchedulerSettings, *, force_new: bool) -> int:
    url = settings.postgres_url.get_secret_value()
    pool = await open_pool(url, service="scheduler", max_size=2)
    try:
        await check_database(pool, url, sandbox=settings.mode == "sandbox")
        made = await Scheduler(settings, pool).configuration.bootstrap(force_new=force_new)
    finally:
        await pool.close()
    if made is None:
        sys.stderr.write("scheduler: there is a platform key; --force-new makes another one\n")
        return EXIT_REFUSED
    sys.stdout.write(f"platform key (shown this once): {made.key}\n")
    return 0


async def _explain(settings: SchedulerSettings, debtor_id: UUID) -> int:
    url = settings.postgres_url.get_secret_value()
    pool = await open_pool(url, service="scheduler", max_size=2)
    try:
        await check_database(pool, url, sandbox=settings.mode == "sandbox")
        scheduler = Scheduler(settings, pool)
        await scheduler.configuration.load()
        async with pool.transaction() as conn:
            answer = await explain_debtor(
                conn,
                scheduler.rulebooks,
                tenant_id="*",
                debtor_id=debtor_id,
                address_subject_of=scheduler.address_subject_of,
            )
    except NotFound:
        sys.stderr.write("scheduler: no such debtor, or nothing of it was planned yet\n")
        return EXIT_REFUSED
    finally:
        await pool.close()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
