"""A broker that lost its log: what the scheduler keeps as state goes out again.

In: the relays' notice. Out: configuration first, then the tasks of all open contacts, through the
outbox; holds go on their own lane (`Holds.republish`). The relay itself publishes its window anew.
"""

from uuid import UUID

from services.scheduler.configuration import Configuration
from services.scheduler.store import contacts
from shared.events.contact import ContactTask
from shared.events.envelope import Envelope, decode
from shared.events.identities import time_ordered_id
from shared.events.topics import TASKS_BY_CHANNEL
from shared.postgres import outbox
from shared.postgres.connection import Pool
from shared.postgres.engine import now
from shared.telemetry.logs import get_logger

SOURCE = "regua/scheduler"
TASKS_PER_PAGE_MAX = 500  # some 700 kB of tasks: one transaction stays short

log = get_logger(__name__)


class Recovery:
    """Publishes state again."""

    def __init__(self, pool: Pool, configuration: Configuration) -> None:
        self._pool = pool
        self._configuration = configuration

    async def publish_again(self) -> None:
        """Publish configuration, then every open contact's task (senders know those they had)."""
        await self._configuration.republish()
        after, count = UUID(int=0), 0
        while True:
            async with self._pool.transaction() as conn:
                tasks = await contacts.open_tasks(conn, after=after, limit=TASKS_PER_PAGE_MAX)
                law = (await now(conn)).law
                await outbox.append(
                    conn,
                    [
                        (
                            TASKS_BY_CHANNEL[channel].name,
                            Envelope(
                                id=time_ordered_id(),
                                type="contact.task.v1",
                                source=SOURCE,
                                time=law,
                                key=str(debtor_id),
                                tenant_id=tenant_id,
                                data=task,
                                expires_at=decode(task, ContactTask).permit.not_after,
                            ),
                        )
                        for _, debtor_id, tenant_id, channel, task in tasks
                    ],
                )
            count += len(tasks)
            if len(tasks) < TASKS_PER_PAGE_MAX:
                log.warning("publish_again", tasks=count)
                return
            after = tasks[-1][0]
