"""Handing mails to a real SMTP server: what it takes, and what each trouble proves."""

import asyncio
from typing import Any

import pytest

from shared.sender.errors import ErrorKind
from shared.sender.provider import Accepted, Refused, Unknown
from tests.contract.email_sender.conftest import (
    DOMAIN,
    REFERENCE,
    SENDER,
    Relay,
    an_address,
)
from tests.support.bus import until


async def test_a_strict_relay_takes_the_mail(relay: Relay) -> None:
    to, reference = an_address(), REFERENCE.format(77)
    result = await relay.send(to, reference=reference, markup="<p>Olá</p>")
    assert result == Accepted(provider_ref=f"{reference}@{DOMAIN}")
    accepted = relay.truth("accepted")
    assert [line["contact_id"] for line in accepted] == ["01234567-89ab-cdef-0123-456789abcdef"]
    assert [line["debtor_id"] for line in accepted] == ["fedcba98-7654-3210-fedc-ba9876543210"]


async def test_connections_are_used_again_and_never_too_many(relay: Relay) -> None:
    results = await asyncio.gather(*(relay.send(an_address()) for _ in range(12)))
    assert all(isinstance(each, Accepted) for each in results)
    again = await relay.send(an_address())
    assert isinstance(again, Accepted)
    assert len(relay.truth("accepted")) == 13


async def test_a_stop_that_comes_while_a_mail_waits_for_a_connection_is_obeyed(
    relay: Relay,
) -> None:
    slow = an_address()
    relay.script(slow, kind="timeout_after_acceptance", seconds=0.3)
    options = {"bounce_domain": DOMAIN, "connections_max": "1"}
    account = relay.account(options=options)
    held: list[bool] = []
    first = asyncio.ensure_future(relay.send(slow, account=account))
    await until(lambda: len(relay.truth("accepted")) == 1)
    waiting = asyncio.ensure_future(
        relay.send(an_address(), account=account, stopped=lambda: bool(held))
    )
    held.append(True)
    assert isinstance(await first, Accepted)
    result = await waiting
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.NOT_STARTED
    assert len(relay.truth("request")) == 1


async def test_a_signed_mail_verifies(relay: Relay, rsa_key: tuple[str, str]) -> None:
    secret, record = rsa_key
    key = {"domain": "acme.example", "selector": "s1", "record": record}
    await relay.register(dkim=key)
    options = {"bounce_domain": DOMAIN, "dkim_selector": "s1"}
    signed = relay.account(credentials={"dkim_key": secret}, options=options)
    assert isinstance(await relay.send(an_address(), account=signed), Accepted)
    unsigned = await relay.send(an_address())
    assert isinstance(unsigned, Refused)
    assert (unsigned.error.kind, unsigned.error.code) == (ErrorKind.ACCOUNT_SETTINGS, "5.7.20")


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "throttle_429"}, ErrorKind.THROTTLED, "4.7.28"),
        ({"kind": "error_500_before"}, ErrorKind.PROVIDER_BUSY, "4.3.0"),
        ({"kind": "refuse"}, ErrorKind.RECIPIENT_INVALID, "5.1.1"),
        ({"kind": "refuse", "code": "550 5.7.1 no"}, ErrorKind.POLICY_REFUSED, "5.7.1"),
        ({"kind": "refuse", "code": "550 no"}, ErrorKind.RECIPIENT_UNREACHABLE, "550"),
        ({"kind": "refuse", "code": "421 4.3.2 bye"}, ErrorKind.PROVIDER_BUSY, "4.3.2"),
        ({"kind": "timeout_before", "seconds": 5}, ErrorKind.UNREACHABLE, None),
        ({"kind": "reset_connection"}, ErrorKind.UNREACHABLE, None),
    ],
    ids=str,
)
async def test_what_is_certainly_not_taken(
    relay: Relay, fault: dict[str, Any], kind: ErrorKind, code: str | None
) -> None:
    to = an_address()
    relay.script(to, **fault)
    result = await relay.send(to)
    assert isinstance(result, Refused)
    assert result.error.kind is kind
    assert code is None or result.error.code == code
    assert relay.truth("accepted") == []
    assert isinstance(await relay.send(to), Accepted)  # whatever it was, the next one goes


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [
        ({"kind": "timeout_after_acceptance", "seconds": 5}, True),
        ({"kind": "reset_connection", "accepted": True}, True),
        ({"kind": "error_500_after_acceptance"}, True),
        *(
            ({"kind": "garbled_answer", "shape": shape, "accepted": accepted}, accepted)
            for shape in ("html", "truncated", "empty", "wrong_json")
            for accepted in (True, False)
        ),
    ],
    ids=str,
)
async def test_after_the_last_dot_nothing_is_certain(
    relay: Relay, fault: dict[str, Any], *, accepted: bool
) -> None:
    to = an_address()
    relay.script(to, **fault)
    result = await relay.send(to)
    assert isinstance(result, Unknown)
    assert len(relay.truth("accepted")) == accepted
    assert isinstance(await relay.send(an_address()), Accepted)


async def test_a_greylisted_recipient_is_let_in_later_and_slows_nobody(relay: Relay) -> None:
    await relay.register(greylist=1.0, greylist_seconds=0.05)
    to = an_address()
    first = await relay.send(to)
    assert isinstance(first, Refused)
    assert first.error.kind is ErrorKind.RECIPIENT_THROTTLED
    assert first.error.retry_after_seconds == 300.0

    await asyncio.sleep(0.06)  # the greylist's own time
    assert isinstance(await relay.send(to), Accepted)


async def test_a_wrong_password_is_the_accounts_fault(relay: Relay) -> None:
    result = await relay.send(an_address(), account=relay.account(password="other"))
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.BAD_CREDENTIALS
    assert "other" not in str(result.error)


async def test_nothing_goes_out_without_a_certificate_that_holds(relay: Relay) -> None:
    result = await relay.send(an_address(), sandbox=False)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.UNREACHABLE
    assert relay.truth("request") == []


async def test_nobody_listens(relay: Relay) -> None:
    nowhere = relay.account(base_url="smtp://127.0.0.1:9")
    result = await relay.send(an_address(), account=nowhere)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.UNREACHABLE


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"base_url": None}, "base_url"),
        ({"base_url": "https://mail.example"}, "base_url"),
        ({"base_url": "smtp://mail.example:x"}, "base_url"),
        ({"sender": "not an address"}, "sender"),
        ({"options": {"reply_to": "a@b\r\nBcc: c@d.example"}}, "options.reply_to"),
        ({"options": {"bounce_domain": "a b"}}, "options.bounce_domain"),
        ({"options": {"connections_max": "0"}}, "options.connections_max"),
        ({"options": {"unheard_of": "1"}}, "options.unheard_of"),
        ({"credentials": {"dkim_key": "no key"}}, "dkim_selector"),
        (
            {"credentials": {"dkim_key": "no key"}, "options": {"dkim_selector": "s1"}},
            "dkim_key, dkim_domain or dkim_selector",
        ),
    ],
    ids=str,
)
async def test_settings_that_make_no_mail_are_named(
    relay: Relay, changes: dict[str, Any], field: str
) -> None:
    result = await relay.send(an_address(), account=relay.account(**changes))
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.ACCOUNT_SETTINGS
    assert result.error.code == f"settings: {field}"
    assert relay.truth("request") == []


@pytest.mark.parametrize(
    "words",
    [
        {"from_name": 'Evil" <ceo@bank.example>, "x'},
        {"from_name": "Crédito & Cia; (filial) <x>"},
        {"from_name": "名前 👍"},
        {"subject": "Olá, 名前 👍 " + "muito " * 30},
        {"body": "x" * 5_000 + "\n" + "é" * 3_000, "markup": "<p>" + "é" * 5_000 + "</p>"},
        {"body": ".\n..\n.x"},
    ],
    ids=str,
)
async def test_whatever_the_words_are_the_mail_is_well_formed(
    relay: Relay, words: dict[str, Any]
) -> None:
    """The relay parses each mail strictly: one From, which is ours, and no defect."""
    assert isinstance(await relay.send(an_address(), **words), Accepted)


async def test_a_sender_that_is_not_the_accounts_is_refused(relay: Relay) -> None:
    stranger = relay.account(sender="x@other.example", options={})
    result = await relay.send(an_address(), account=stranger)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.ACCOUNT_SETTINGS
    assert SENDER not in str(result.error)
