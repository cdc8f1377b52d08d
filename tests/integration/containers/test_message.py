"""One message through the containers: configured, posted, planned, sent, told by the ledger."""

import time
from typing import Any

import httpx
import pytest

from tests.integration.containers.conftest import Site

LAW_NOW = "2027-03-01T08:30:00-03:00"  # a Monday morning in São Paulo
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.2
EVENT = {
    "specversion": "1.0",
    "id": "reg-1",
    "source": "/billing",
    "type": "debt.registered",
    "time": "2027-03-01T08:00:00-03:00",
    "data": {
        "portfolio_id": "varejo-br",
        "debt_ref": "inv-1",
        "debtor_ref": "cust-1",
        "debtor": {
            "name": "Ana Souza",
            "locale": "pt-BR",
            "places": [{"country": "BR", "subdivision": "SP", "zone": "America/Sao_Paulo"}],
            "contact_points": [{"channel": "sms", "address": "+5511987654321"}],
        },
        "principal": "1120.00",
        "currency": "BRL",
        "due_date": "2027-02-24",
    },
}


class Client:
    """A client system on the containers' network."""

    def __init__(self, site: Site, key: str) -> None:
        self._site = site
        self._headers = {"X-API-Key": key}

    def ask(self, method: str, url: str, body: object = None, kind: str = "json") -> Any:
        """Send a request and return the answer's JSON; it must be a success."""
        answer = self._site.island.run(
            httpx.request,
            method,
            url,
            json=body,
            headers=self._headers | {"Content-Type": f"application/{kind}"},
            timeout=10.0,
            trust_env=False,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def history(self) -> list[str]:
        """What the ledger says of the person."""
        ledger = "http://contact-ledger:8083/v1"
        found = self.ask("POST", f"{ledger}/search", {"debtor_ref": "cust-1"})["debtors"]
        if not found:
            return []
        told = self.ask("GET", f"{ledger}/debtors/{found[0]['debtor_id']}/history")
        return [entry["what"] for entry in told["entries"]]


@pytest.fixture
def client(site: Site, admin_key: str) -> Client:
    """The sample tenant, configured by the container that does so."""
    command = site.containers.container("sample").command
    done = site.containers.run("sample", ["env", f"ADMIN_KEY={admin_key}", *command])
    assert done.stdout.startswith("export KEY="), done.stderr
    return Client(site, done.stdout.strip().removeprefix("export KEY="))


def test_a_debt_becomes_a_message_and_the_ledger_tells_it(
    site: Site, client: Client, admin_key: str
) -> None:
    scheduler = "http://scheduler:8081/v1"
    Client(site, admin_key).ask("PUT", f"{scheduler}/clock", {"law_now": LAW_NOW})
    answer = client.ask("POST", f"{scheduler}/events", EVENT, kind="cloudevents+json")
    assert answer["accepted"] == 1
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while "SMS delivered" not in (told := client.history()):
        assert time.monotonic() < deadline, told
        time.sleep(POLL_SECONDS)
