"""Nothing personal and no secret in what a call leaves behind: logs, results, exceptions."""

import logging
import traceback

import pytest

from shared.sender.provider import Sending
from tests.contract.providers.cases import DARK, PROVIDERS, Trouble
from tests.contract.providers.conftest import Bench

# Each raises something else, or brings another answer.
LOUD = [
    trouble
    for trouble in DARK
    if trouble.name in {"500_before", "timeout_after", "reset_after", "garbled_truncated_after"}
]
TEXT = "Canario-7421 deve R$ 31.415,92"

each_provider = pytest.mark.parametrize("entry", PROVIDERS, ids=lambda entry: entry.name)


def traces(bench: Bench) -> list[str]:
    """What must not appear anywhere: the person, the words, the secrets."""
    number = bench.address.lstrip("+").partition("@")[0]
    secrets = [
        value
        for name, value in bench.entry.credentials.items()
        if not name.endswith(("_sid", "_id")) and name != "account"
    ]
    return [number, TEXT, "Canario-7421", "31.415,92", *secrets]


@each_provider
@pytest.mark.parametrize("trouble", [None, *LOUD], ids=str)
async def test_a_call_leaves_nothing_behind(
    bench: Bench,
    trouble: Trouble | None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    if trouble is not None:
        bench.script(**trouble.fault)
    result = await bench.send(TEXT)
    out, err = capfd.readouterr()
    left = "\n".join([repr(result), repr(bench.account), str(bench.account), caplog.text, out, err])
    assert not [trace for trace in traces(bench) if trace in left]


@each_provider
async def test_an_exception_says_nothing_personal(bench: Bench) -> None:
    message = bench.entry.message(bench.address, TEXT)
    sending = Sending(
        callback_url="http://127.0.0.1:9/w", validity_seconds=60, reference="r", sandbox=True
    )
    account = bench.account_with(bench.entry.unreachable())
    try:
        result = await bench.provider.send(bench.client, account, message, sending)
        left = repr(result)
    except Exception as error:  # noqa: BLE001 - whatever comes must be clean
        left = "".join(traceback.format_exception(error))
    assert left
    assert not [trace for trace in traces(bench) if trace in left]
