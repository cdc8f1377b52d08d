"""What comes back by mail, as the sandbox's relay and mailboxes write it, read by the sender."""

from typing import Any

import pytest

from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import Accepted, InboundReply, StatusReceipt
from shared.sender.replies import is_opt_out, read_reply
from tests.contract.email_sender.conftest import DOMAIN, REFERENCE, Relay, an_address
from tests.contract.providers.cases import REPLIES
from tests.support.contacts import now

BEHAVIOUR = "/sandbox/behaviour"


async def _sent(relay: Relay, number: int, **words: Any) -> tuple[str, str]:
    to, reference = an_address(), REFERENCE.format(number)
    assert isinstance(await relay.send(to, reference=reference, **words), Accepted)
    return to, reference


async def test_a_delivered_mail_is_reported_when_the_relay_can(relay: Relay) -> None:
    _, reference = await _sent(relay, 1_001)
    (event,) = await relay.came(reference)
    assert event == StatusReceipt(
        provider_ref=f"{reference}@{DOMAIN}",
        provider_word="delivered",
        state=ContactState.DELIVERED,
        code="2.0.0",
        our_reference=reference,
    )


@pytest.mark.parametrize(
    ("cause", "status", "kind"),
    [
        (30005, "5.1.1", ErrorKind.RECIPIENT_INVALID),
        (30006, "5.1.2", ErrorKind.RECIPIENT_INVALID),
        (30003, "4.2.2", ErrorKind.RECIPIENT_UNREACHABLE),
        (30036, "4.4.7", ErrorKind.RECIPIENT_UNREACHABLE),
    ],
)
async def test_a_bounce_names_its_error(
    relay: Relay, cause: int, status: str, kind: ErrorKind
) -> None:
    relay.sandbox.control(
        "POST",
        BEHAVIOUR,
        {"preset": "silent", "undelivered": 1.0, "undelivered_codes": {str(cause): 1.0}},
    )
    _, reference = await _sent(relay, 1_100 + cause)
    (event,) = await relay.came(reference)
    assert isinstance(event, StatusReceipt)
    assert (event.state, event.code, event.error) == (ContactState.UNDELIVERED, status, kind)


async def test_a_delay_moves_nothing(relay: Relay) -> None:
    _, reference = await _sent(relay, 1_200)
    await relay.came(reference)
    relay.sandbox.control(
        "POST",
        "/sandbox/receipts",
        {"message_sid": f"{reference}@{DOMAIN}", "status": "delayed"},
    )
    event = (await relay.came(reference, 2))[1]
    assert isinstance(event, StatusReceipt)
    assert (event.provider_word, event.state, event.error) == ("delayed", None, None)


async def test_a_complaint_is_as_good_as_an_opt_out(relay: Relay) -> None:
    to, reference = await _sent(relay, 1_300)
    await relay.came(reference)
    _write(relay, to, "", "complaint")
    event = (await relay.came(reference, 2))[1]
    assert isinstance(event, StatusReceipt)
    assert (event.provider_word, event.complained_by) == ("abuse", "")


async def test_an_answering_machine_promises_nothing(relay: Relay) -> None:
    to, reference = await _sent(relay, 1_400)
    await relay.came(reference)
    _write(relay, to, "", "away")
    event = (await relay.came(reference, 2))[1]
    assert isinstance(event, StatusReceipt)
    assert (event.provider_word, event.state) == ("auto-replied", ContactState.DELIVERED)


async def test_the_mailto_of_list_unsubscribe_opts_out(relay: Relay) -> None:
    to, reference = await _sent(relay, 1_500)
    await relay.came(reference)
    _write(relay, to, "", "unsubscribe_mail")
    event = (await relay.came(reference, 2))[1]
    assert isinstance(event, InboundReply)
    assert event.button == "opt_out"


@pytest.mark.parametrize(("language", "words", "intent"), REPLIES)
async def test_a_reply_is_read_without_what_it_quotes(
    relay: Relay, language: str, words: str, intent: str
) -> None:
    """Ours tells how to opt out, and is quoted below every answer."""
    ours = "Olá.\nResponda SAIR para não receber mais mensagens. Reply STOP to opt out."
    number = 1_600 + REPLIES.index((language, words, intent))
    to, reference = await _sent(relay, number, body=ours)
    await relay.came(reference)
    _write(relay, to, words, intent)
    event = (await relay.came(reference, 2))[1]
    assert isinstance(event, InboundReply)
    assert event.text == words
    assert event.from_address == to
    assert is_opt_out(event.text) == (intent == "opt_out")
    assert read_reply(event.text, now().date(), to).intent == intent


async def test_a_mail_that_could_not_be_stored_comes_again(relay: Relay) -> None:
    relay.mailbox.answers = ["451 4.3.0 not stored, send it again"]
    _, reference = await _sent(relay, 1_700)
    assert len(await relay.came(reference)) == 1


def _write(relay: Relay, to: str, text: str, intent: str) -> None:
    relay.sandbox.control(
        "POST",
        "/sandbox/replies",
        {"recipient": to, "text": text, "intent": intent, "provider": "smtp"},
    )
