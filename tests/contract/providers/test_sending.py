"""Sending: what the provider answers, what we make of it, and what it really did.

The truth log of the sandbox is the witness: `Refused` is said only of what was not accepted.
"""

import pytest

from shared.sender.errors import ErrorKind
from shared.sender.provider import Accepted, Refused, Unknown
from tests.contract.providers.cases import DARK, PROVIDERS, Trouble, refusals
from tests.contract.providers.conftest import Bench
from tests.contract.providers.entry import Code, Entry

each_provider = pytest.mark.parametrize("entry", PROVIDERS, ids=lambda entry: entry.name)


@each_provider
async def test_accepted(bench: Bench) -> None:
    result = await bench.send("Olá, sua parcela de R$ 10,00 vence amanhã — até já!")
    (line,) = bench.truth("accepted")
    assert isinstance(result, Accepted)
    assert result.provider_ref == line["message_sid"]
    assert line["contact_id"] == str(bench.contact_id)
    assert line["provider"] == bench.entry.name


@pytest.mark.parametrize(
    ("entry", "code"), refusals(), ids=lambda value: getattr(value, "name", str(value))
)
async def test_refused_by_each_documented_code(bench: Bench, entry: Entry, code: Code) -> None:
    bench.script(kind="refuse", code=entry.scripted(code))
    result = await bench.send()
    assert isinstance(result, Refused), result
    assert (result.error.kind, result.error.code) == (entry.refusals[code], str(code))
    assert not bench.truth("accepted")


@each_provider
async def test_throttled(bench: Bench) -> None:
    bench.script(kind="throttle_429", retry_after=7)
    result = await bench.send()
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.THROTTLED
    assert result.error.retry_after_seconds == (7.0 if bench.entry.retry_after else None)
    assert not bench.truth("accepted")
    assert isinstance(await bench.send(), Accepted)


@each_provider
@pytest.mark.parametrize("trouble", DARK, ids=str)
async def test_in_the_dark_we_say_so(bench: Bench, trouble: Trouble) -> None:
    bench.script(**trouble.fault)
    result = await bench.send()
    certain = trouble.name in bench.entry.certain
    assert isinstance(result, Refused if certain else Unknown), result
    assert bool(bench.truth("accepted")) == trouble.accepted


@each_provider
async def test_nobody_there_is_certain(bench: Bench) -> None:
    result = await bench.send(account=bench.account_with(bench.entry.unreachable()))
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.UNREACHABLE


@each_provider
async def test_wrong_credentials(bench: Bench) -> None:
    for name in bench.provider.credential_names:
        account = bench.account_with(bench.account.settings, **{name: "wrong"})
        result = await bench.send(account=account)
        if isinstance(result, Accepted):  # a secret that is for webhooks only
            continue
        assert isinstance(result, Refused)
        assert result.error.kind is ErrorKind.BAD_CREDENTIALS
        assert not bench.truth("accepted")
        return
    pytest.fail("no credential mattered")


@each_provider
async def test_missing_credentials_ask_nobody(bench: Bench) -> None:
    for name in bench.provider.credential_names:
        account = bench.account_with(bench.account.settings, **{name: ""})
        result = await bench.send(account=account)
        assert isinstance(result, Refused | Accepted)
        if isinstance(result, Refused):
            assert result.error.kind is ErrorKind.BAD_CREDENTIALS
            assert not bench.truth("request")
            return
    pytest.fail("no credential mattered")
