"""A stop is a stop: whatever its scope, and whatever is on its way already.

One tenant per stop. Told by the provider's log and the ledger.
"""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.journey import Journey, Site, instant, until

STOP_SECONDS_MAX = 5  # the promise: no provider call starts later than this after a stop
RATE = 20.0  # slow enough that most are on their way, or wait, when the stop comes
PEOPLE = 120  # more than the four seconds that are with the sender at most
BEFORE_THE_WINDOW = timedelta(hours=10)  # 07:00 in São Paulo
NAMES: dict[str, dict[str, Any]] = {
    "everything": {},
    "tenant": {},
    "channel": {"channel": "sms"},
    "template": {"template_id": "br-reminder-after"},
}


def begun(site: Site, journeys: list[Journey]) -> Journey:
    """Many people due at once, the first calls under way."""
    journey = site.journey(rate=RATE)
    journeys.append(journey)
    journey.register(journey.people(PEOPLE))
    until(lambda: len(journey.truth("request")) >= RATE, "calls under way")
    return journey


def watch(journey: Journey) -> int:
    """Wait the promised seconds and a little; return how many calls there were, none too late."""
    stopped_at = journey.platform.machine_now()
    grace = stopped_at + timedelta(seconds=STOP_SECONDS_MAX)
    late = grace + timedelta(seconds=1)
    until(lambda: journey.platform.machine_now() > late, "the end of the grace")
    called = [instant(line["machine_at"]) for line in journey.truth("request")]
    assert max(called) <= grace
    return len(called)


def test_a_hold_on_one_address_stops_that_one_alone(site: Site, journeys: list[Journey]) -> None:
    journey = site.journey(at=BEFORE_THE_WINDOW)
    journeys.append(journey)
    [held, free] = journey.people(2)
    body = {"scope": "address", "channel": "sms", "address": held.phone, "reason": "complaint"}
    headers = journey.platform.tenant
    hold = journey.platform.call("POST", "scheduler", "/v1/holds", json=body, headers=headers)
    journey.register([held, free])
    journey.run_until(journey.start + timedelta(hours=4))
    assert journey.truth("request", held) == []
    assert len(journey.truth("accepted", free)) == 1
    assert journey.contacts_of(held) == [], "nothing is planned for an address that is held"

    journey.platform.call("DELETE", "scheduler", f"/v1/holds/{hold['hold_id']}", headers=headers)
    journey.driver.drain()
    assert len(journey.truth("accepted", held)) == 1, "at once, not at the hourly look"
    journey.settle()
    journey.check()


@pytest.mark.parametrize("scope", list(NAMES))
def test_an_emergency_stop_stops_and_its_lift_resumes_without_repeating(
    site: Site, journeys: list[Journey], scope: str
) -> None:
    journey = begun(site, journeys)
    key = {"X-API-Key": journey.stack.admin_key}
    headers = key if scope == "everything" else journey.platform.tenant
    stop = {"scope": scope} | NAMES[scope]
    hold = journey.platform.call(
        "POST", "scheduler", "/v1/emergency-stop", json=stop, headers=headers
    )
    before = watch(journey)
    assert before < PEOPLE - RATE, "the stop came too late to prove anything"
    journey.driver.drain()
    stopped = [c for c in journey.contacts() if c["balance_class"] == "cancelled"]
    assert stopped, "what was with the sender was cancelled there"
    assert {rule for contact in stopped for rule in contact["state_rules"]} == {"hold"}
    assert len(stopped) < PEOPLE, "nobody is planned and cancelled over and over"

    path = f"/v1/holds/{hold['hold_id']}"
    lifted = journey.platform.call("DELETE", "scheduler", path, headers=headers)
    assert lifted["state"] == "lifted"
    journey.driver.drain()
    assert journey.accepted() == {journey.digest(person): 1 for person in journey.debtors}, (
        "contact resumes at once, not at the hourly look"
    )
    sent = {line["contact_id"] for line in journey.truth("accepted")}
    assert not sent & {contact["contact_id"] for contact in stopped}, "they were planned anew"
    journey.settle()
    journey.check()
