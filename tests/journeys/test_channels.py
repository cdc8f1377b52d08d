"""One ladder over SMS, WhatsApp and e-mail: what follows what, and what stops everywhere.

One tenant per story. Told by what the providers saw, whoever they are, and what the ledger says.
"""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.support.debtors import Debtor, event
from tests.support.journey import OPENS, Journey, Site, instant, until

EVERYTHING = ("sms", "whatsapp", "email")
PROVIDERS = {"sms": "twilio", "whatsapp": "meta", "email": "smtp"}
A_DAY = timedelta(days=1)
NEXT_OPENING = A_DAY - timedelta(hours=4)  # from midday to 08:00
UNREACHABLE = {"preset": "silent", "undelivered": 1.0, "undelivered_codes": {"30003": 1.0}}
FREE_TEXT_LADDER = """\
ladder: br-consumer-standard
version: 1
steps:
  - key: first
    offset_days: 1
    stage: reminder
    channels: [whatsapp]
    templates: {whatsapp: br-reminder-after-whatsapp}
  - key: talk
    offset_days: 2
    stage: reminder
    channels: [whatsapp, sms]
    templates: {whatsapp: br-free-text, sms: br-notice-talk}
"""


@pytest.fixture
def journey(site: Site, journeys: list[Journey]) -> Journey:
    """A fresh tenant with an account on every channel."""
    begun = site.journey(channels=EVERYTHING)
    journeys.append(begun)
    return begun


def reachable(journey: Journey, number: int) -> list[Debtor]:
    """People with a number for SMS and WhatsApp, and a mailbox."""
    return journey.people(number, channels=EVERYTHING)


def accepted_by(journey: Journey, person: Debtor) -> list[str]:
    """Which providers took a message for this person, in order."""
    return [line["provider"] for line in journey.truth("accepted", person)]


def answer(journey: Journey, person: Debtor, text: str, intent: str, provider: str) -> None:
    """Let a person answer and the platform take it in."""
    before = len(journey.truth("inbound", person))
    journey.reply(person, text, intent, provider=provider)
    until(lambda: len(journey.truth("inbound", person)) > before, "the reply at our door")
    assert journey.truth("inbound", person)[-1]["answered"] in (200, 250)
    journey.driver.drain()


def test_what_does_not_arrive_goes_on_from_sms_to_whatsapp_to_mail(journey: Journey) -> None:
    [lost] = reachable(journey, 1)
    journey.platform.sandbox("POST", "/sandbox/behaviour", UNREACHABLE)
    journey.register([lost])
    journey.driver.drain()
    assert accepted_by(journey, lost) == ["twilio"]
    journey.run_until(journey.start + A_DAY)
    assert accepted_by(journey, lost) == ["twilio", "meta"]
    journey.run_until(journey.start + 2 * A_DAY)
    assert accepted_by(journey, lost) == ["twilio", "meta", "smtp"]

    contacts = journey.contacts_of(lost)
    assert [contact["channel"] for contact in contacts] == ["sms", "whatsapp", "email"]
    steps = {item["step_key"] for contact in contacts for item in contact["items"]}
    assert steps == {"d1-notice"}, "one step, three channels"
    why = [
        reason["inputs"]["because"]
        for line in journey.history(lost)
        if line["type"] in {"contact.planned.v1", "contact.dispatched.v1"}
        for reason in line["reasons"]
        if reason["rule"] == "ladder.fallback"
    ]
    assert why == ["undelivered", "undelivered"]
    journey.check()


def test_whoever_is_reached_hears_each_step_once(journey: Journey) -> None:
    [reached] = reachable(journey, 1)
    journey.register([reached])
    journey.run_until(journey.start + 3 * A_DAY)
    assert accepted_by(journey, reached) == ["twilio"]
    journey.check()


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_stop_on_a_number_stops_both_channels_of_that_number(
    journey: Journey, channel: str
) -> None:
    asks, other = reachable(journey, 2)
    days = {"sms": 1, "whatsapp": 5}[channel]
    journey.register([asks, other], days_past_due=days)
    journey.driver.drain()
    assert accepted_by(journey, asks) == [PROVIDERS[channel]]
    answer(journey, asks, "SAIR", "opt_out_words", PROVIDERS[channel])
    said = instant(journey.truth("inbound", asks)[-1]["machine_at"])
    number = msgspec.structs.replace(asks, email=None)
    journey.stop_of([number], "said stop", said)
    journey.run_until(journey.start + 11 * A_DAY)

    later = accepted_by(journey, asks)[1:]
    assert later, "the mailbox was not asked to be left alone"
    assert set(later) == {"smtp"}
    assert {"twilio", "meta"} <= set(accepted_by(journey, other))
    found = journey.platform.call("GET", "scheduler", "/v1/holds", headers=journey.platform.tenant)
    held = {(hold["scope"], hold["reason"], hold["origin"]) for hold in found["holds"]}
    origins = {"address": {f"{channel}_sender", "scheduler"}}
    assert held == {("address", "opted_out", origin) for origin in origins["address"]}
    journey.check()


def test_a_wrong_number_is_silent_on_every_channel_for_everybody_said_to_have_it(
    journey: Journey,
) -> None:
    first, *others = reachable(journey, 2)
    second = msgspec.structs.replace(
        others[0], phone=first.phone, email=None, channels=("sms", "whatsapp")
    )
    journey.debtors[-1] = second
    journey.register([first])
    journey.driver.drain()
    answer(journey, first, "Número errado, não conheço essa pessoa", "wrong_person", "twilio")
    wrong = instant(journey.truth("inbound", first)[-1]["machine_at"])
    journey.stop_of([msgspec.structs.replace(first, email=None)], "wrong number", wrong)
    journey.register([second])
    journey.run_until(journey.start + 7 * A_DAY)

    number = journey.digest(first)
    called = [line for line in journey.truth("request") if line.get("recipient") == number]
    assert len(called) == 1, "the one that was answered"
    explained = journey.platform.call(
        "POST",
        "scheduler",
        "/v1/explain",
        json={"debt_ref": second.debt_ref},
        headers=journey.platform.tenant,
    )
    [debt] = explained["debts"]
    verdicts = {
        rule["inputs"]["channel"]: rule["inputs"].get("because")
        for rule in debt["rules"]
        if rule["rule"] == "channel"
    }
    assert verdicts["sms"] == verdicts["whatsapp"] == "address_held"
    journey.check()


def test_whoever_wants_no_whatsapp_gets_the_step_by_sms(journey: Journey) -> None:
    [person, other] = reachable(journey, 2)
    journey.register([person, other], days_past_due=4)
    revoked = {
        "debtor_ref": person.ref,
        "channel": "whatsapp",
        "state": "revoked",
        "origin": "phone_call",
    }
    journey.post([event("debtor.consent_changed", f"no-{person.key}", journey.start, revoked)])
    journey.run_until(journey.start + A_DAY)
    assert accepted_by(journey, other)[-1] == "meta"
    assert set(accepted_by(journey, person)) == {"twilio"}
    journey.check()


def test_free_text_goes_inside_the_service_window_and_nowhere_else(journey: Journey) -> None:
    texts = {"pt-BR": "Oi {first_name}, como podemos ajudar com {amount}?"}
    body: dict[str, Any] = {"channel": "whatsapp", "content_class": "utility", "texts": texts}
    journey.platform.put("/v1/config/template/br-free-text", body)
    ladder = {"text": FREE_TEXT_LADDER}
    journey.platform.put("/v1/config/ladder/br-consumer-standard", ladder)
    writes, silent = reachable(journey, 2)
    journey.register([writes, silent])
    journey.driver.drain()
    answer(journey, writes, "Bom dia", "unclear", "meta")
    opening = journey.start + NEXT_OPENING
    assert opening.hour == (journey.start.replace(hour=0) + OPENS).hour
    journey.run_until(opening + timedelta(hours=2))

    assert accepted_by(journey, writes) == ["meta", "meta"], "written to within the day"
    assert accepted_by(journey, silent) == ["meta", "twilio"], "refused: the next one took it"
    refused = [c for c in journey.contacts_of(silent) if c["balance_class"] == "failed"]
    assert [contact["channel"] for contact in refused] == ["whatsapp"]
    journey.check()
