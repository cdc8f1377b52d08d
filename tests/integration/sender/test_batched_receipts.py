"""A provider of another shape at work: many receipts in one webhook, each naming its attempt.

The sandbox plays Infobip; the sender, its database and the broker are real.
"""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest

from shared.events.configuration import SenderAccount
from shared.events.contact import ContactTask
from shared.sender.callbacks import webhook_path
from tests.support.bus import until
from tests.support.contacts import NUMBER, TENANT, a_task
from tests.support.sandbox import Sandbox
from tests.support.sending import Stage

ACCOUNT = "acme-infobip"
SECRETS = {
    "TEST_SMS_INFOBIP_KEY": "api-key-1",
    "TEST_SMS_INFOBIP_USER": "subscriber",
    "TEST_SMS_INFOBIP_PASSWORD": "subscription-password",
}
PEOPLE = 24
REPORTS_EACH = 2  # on its way, delivered


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    made = Sandbox()
    made.control("POST", "/sandbox/behaviour", {"preset": "silent"})
    yield made
    made.close()


async def configure(stage: Stage, sandbox: Sandbox) -> None:
    """Let the sender know the account, and the provider where its reports go."""
    account = SenderAccount(
        channel="sms",
        provider="infobip",
        sender=NUMBER,
        rate_per_second=5_000.0,
        credentials={
            "api_key": "env:TEST_SMS_INFOBIP_KEY",
            "webhook_user": "env:TEST_SMS_INFOBIP_USER",
            "webhook_password": "env:TEST_SMS_INFOBIP_PASSWORD",
        },
        base_url=sandbox.url,
    )
    await stage.store("account", ACCOUNT, account)
    await register(stage, sandbox)


async def register(stage: Stage, sandbox: Sandbox, **changes: str) -> None:
    """Subscribe the sender at the provider."""
    body = {
        "provider": "infobip",
        "id": "acme",
        "api_key": SECRETS["TEST_SMS_INFOBIP_KEY"],
        "senders": [NUMBER.removeprefix("+")],
        "webhook_url": f"http://127.0.0.1:{stage.port}" + webhook_path("infobip", TENANT, ACCOUNT),
        "webhook_user": SECRETS["TEST_SMS_INFOBIP_USER"],
        "webhook_password": SECRETS["TEST_SMS_INFOBIP_PASSWORD"],
    }
    await asyncio.to_thread(sandbox.control, "POST", "/sandbox/accounts", body | changes)


def tasks(count: int) -> list[ContactTask]:
    return [a_task(account_id=ACCOUNT, address=f"+55119{87_000_000 + n:08d}") for n in range(count)]


async def test_each_receipt_of_a_webhook_finds_its_attempt(stage: Stage, sandbox: Sandbox) -> None:
    people = tasks(PEOPLE)
    async with stage.running():
        await configure(stage, sandbox)
        await stage.dispatch(*people)
        await until(lambda: _all_applied(stage))
        await until(lambda: _all_told(stage))
    kinds: dict[UUID, list[str]] = {}
    for kind, fact in await stage.facts():
        kinds.setdefault(fact.contact_id, []).append(kind)
    assert kinds == {task.contact_id: ["accepted", "sent", "delivered"] for task in people}


async def _all_told(stage: Stage) -> bool:
    return [kind for kind, _ in await stage.facts()].count("delivered") == PEOPLE


async def _all_applied(stage: Stage) -> bool:
    rows = await stage.rows("SELECT state, count(*) AS n FROM receipt GROUP BY state")
    return {row["state"]: row["n"] for row in rows} == {"applied": PEOPLE * REPORTS_EACH}


async def test_the_dark_is_lit_by_a_report_and_a_stop_is_obeyed(
    stage: Stage, sandbox: Sandbox
) -> None:
    (task,) = tasks(1)
    fault = {"kind": "timeout_after_acceptance", "seconds": 30}
    sandbox.control("POST", "/sandbox/faults", fault)
    async with stage.running():
        await configure(stage, sandbox)
        await stage.dispatch(task)
        await stage.fact(task, "delivered")
        await until(lambda: _resolved(stage, task))
        reply = {"recipient": task.address, "text": "Não me mande mais mensagens"}
        await asyncio.to_thread(sandbox.control, "POST", "/sandbox/replies", reply)
        said = await stage.fact(task, "replied")
        other = a_task(account_id=ACCOUNT, address=task.address)
        await stage.dispatch(other)
        await stage.fact(other, "cancelled")
    assert said.intent == "opt_out"
    kinds = await stage.kinds(task)
    assert {"accepted", "sent", "delivered"} <= set(kinds)
    requests = [line for line in sandbox.truth() if line["kind"] == "request"]
    assert len(requests) == 1, "never sent again blindly, never after a stop"


async def _resolved(stage: Stage, task: ContactTask) -> bool:
    return await stage.states(task) == ["ACCEPTED"]


async def test_a_wrong_password_is_refused(stage: Stage, sandbox: Sandbox) -> None:
    (task,) = tasks(1)
    async with stage.running():
        await configure(stage, sandbox)
        await register(stage, sandbox, webhook_password="a stranger's")
        await stage.dispatch(task)
        await stage.fact(task, "accepted")
        await until(lambda: _answered(sandbox, 403))
    assert not await stage.rows("SELECT 1 FROM receipt")


async def _answered(sandbox: Sandbox, status: int) -> bool:
    lines = await asyncio.to_thread(sandbox.truth)
    return any(line.get("answered") == status for line in lines)
