"""From task to provider to fact, and everything that may end a contact without a call."""

from tests.support.sending import Stage, a_task


async def test_a_task_becomes_one_call_and_an_accepted_fact(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        await stage.dispatch(task)
        accepted = await stage.fact(task, "accepted")
    assert [each["To"] for each in stage.provider.requests] == [task.address]
    assert stage.provider.requests[0]["Body"] == "Olá Maria, sua fatura de R$ 120,00 venceu."
    assert accepted.n == 1
    assert accepted.segments == 1
    assert accepted.text_sealed is not None
    assert "Maria" not in accepted.text_sealed
    assert await stage.states(task) == ["ACCEPTED"]
    assert stage.exit_code == 0
