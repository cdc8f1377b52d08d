"""The twin's three processes, row by row: what `naive_twin` runs.

In: `python -m tests.bench.naive_roles scheduler|sender|ledger` with `TWIN_*` variables. Out: the
same hops as the platform's, one object, one commit, one message at a time.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from fastapi import FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from deploy.demo.setting import ACCOUNT_SIDS, NUMBERS

LOOK_SECONDS = 0.02
TASKS, EVENTS = "contact.tasks.handoff.v1", "contact.events.v1"

Role = Callable[["Twin"], Awaitable[None]]


class Base(DeclarativeBase):
    """The twin's tables."""


class Debt(Base):
    """A debt, planned or not."""

    __tablename__ = "twin_debt"
    id: Mapped[str] = mapped_column(primary_key=True)
    phone: Mapped[str]
    amount: Mapped[str]
    planned: Mapped[bool] = mapped_column(default=False, index=True)


class Outbox(Base):
    """A message to publish."""

    __tablename__ = "twin_outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
    published: Mapped[bool] = mapped_column(default=False, index=True)


class Attempt(Base):
    """A provider call."""

    __tablename__ = "twin_attempt"
    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]


class Entry(Base):
    """What happened, in the ledger."""

    __tablename__ = "twin_entry"
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(index=True)
    body: Mapped[str]


class NewDebt(BaseModel):
    """What the client posts."""

    id: str
    phone: str
    amount: str


class Twin:
    """Connections of one role's process, from its environment."""

    def __init__(self) -> None:
        """Connect lazily; `run` starts what needs starting."""
        url = os.environ["TWIN_DATABASE"].replace("postgresql://", "postgresql+asyncpg://")
        self.engine: AsyncEngine = create_async_engine(url)
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)
        self.kafka = os.environ["TWIN_KAFKA"]
        self.port = int(os.environ["TWIN_PORT"])
        self.producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")

    async def send(self, topic: str, body: dict[str, Any]) -> None:
        """Publish one message and wait for it."""
        await self.producer.send_and_wait(topic, json.dumps(body).encode())

    async def consume(
        self, topic: str, handle: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Handle one message at a time, committing after each."""
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.kafka,
            group_id=f"twin-{topic}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        async for record in consumer:
            await handle(json.loads(record.value))
            await consumer.commit()

    async def serve(self, app: FastAPI) -> None:
        """Serve HTTP on this role's port."""
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning")
        await uvicorn.Server(config).serve()


async def scheduler(twin: Twin) -> None:
    """Take debts, plan them one by one, publish them one by one."""
    app = FastAPI()

    @app.post("/debts", status_code=202)
    async def post(debt: NewDebt) -> None:
        async with twin.session() as session:
            session.add(Debt(**debt.model_dump()))
            await session.commit()

    await asyncio.gather(twin.serve(app), plan(twin), relay(twin))


async def plan(twin: Twin) -> None:
    """Plan one debt after the other."""
    while True:
        async with twin.session() as session:
            found = select(Debt).where(~Debt.planned).limit(1).with_for_update(skip_locked=True)
            debt = (await session.execute(found)).scalar_one_or_none()
            if debt is not None:
                debt.planned = True
                body = {"id": str(uuid4()), "phone": debt.phone, "amount": debt.amount}
                session.add(Outbox(body=json.dumps(body)))
                await session.commit()
        if debt is None:
            await asyncio.sleep(LOOK_SECONDS)


async def relay(twin: Twin) -> None:
    """Publish one message after the other."""
    while True:
        async with twin.session() as session:
            found = select(Outbox).where(~Outbox.published).order_by(Outbox.id).limit(1)
            row = (await session.execute(found)).scalar_one_or_none()
            if row is not None:
                await twin.send(TASKS, json.loads(row.body))
                row.published = True
                await session.commit()
        if row is None:
            await asyncio.sleep(LOOK_SECONDS)


async def sender(twin: Twin) -> None:
    """Send each task with one call, take each receipt with one transaction."""
    app = FastAPI()
    sid, number = ACCOUNT_SIDS["br-sms"], NUMBERS["br-sms"]
    url = f"{os.environ['TWIN_SANDBOX']}/2010-04-01/Accounts/{sid}/Messages.json"
    login = (sid, os.environ["TWIN_TOKEN"])
    client = httpx.AsyncClient()  # kept: opening one a message would cost more than all the rest

    @app.post("/status")
    async def status(request: Request) -> None:
        form = dict(parse_qsl((await request.body()).decode()))
        async with twin.session() as session:
            attempt = await session.get(Attempt, request.query_params["c"])
            if attempt is not None:
                attempt.state = form["MessageStatus"]
                await session.commit()
        await twin.send(EVENTS, {"id": str(uuid4()), "kind": form["MessageStatus"]})

    async def deliver(task: dict[str, Any]) -> None:
        async with twin.session() as session:
            session.add(Attempt(id=task["id"], state="claimed"))
            await session.commit()
        form = {
            "To": task["phone"],
            "From": number,
            "Body": f"Debt of {task['amount']}",
            "StatusCallback": f"http://127.0.0.1:{twin.port}/status?c={task['id']}",
        }
        answer = await client.post(url, data=form, auth=login)
        async with twin.session() as session:
            attempt = await session.get(Attempt, task["id"])
            if attempt is not None:
                attempt.state = "accepted" if answer.is_success else "failed"
                await session.commit()
        await twin.send(EVENTS, {"id": str(uuid4()), "kind": "accepted"})

    await asyncio.gather(twin.serve(app), twin.consume(TASKS, deliver))


async def ledger(twin: Twin) -> None:
    """Record each event with one transaction."""
    app = FastAPI()

    @app.get("/delivered")
    async def delivered() -> int:
        async with twin.session() as session:
            found = select(func.count()).select_from(Entry).where(Entry.kind == "delivered")
            return int((await session.execute(found)).scalar_one())

    async def record(event: dict[str, Any]) -> None:
        async with twin.session() as session:
            session.add(Entry(id=event["id"], kind=event["kind"], body=json.dumps(event)))
            await session.commit()

    await asyncio.gather(twin.serve(app), twin.consume(EVENTS, record))


ROLES: dict[str, Role] = {"scheduler": scheduler, "sender": sender, "ledger": ledger}


async def play(role: str) -> None:
    """Be one of the three processes until killed."""
    twin = Twin()
    async with twin.engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    await twin.producer.start()
    await ROLES[role](twin)


if __name__ == "__main__":
    asyncio.run(play(sys.argv[1]))
