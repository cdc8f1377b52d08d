"""A tenant with one Brazilian portfolio: what an operator would store before the first debt.

In: names, the sandbox's address, a rate. Out: an account for the sandbox, and configuration
entries. The ladder and the packs are the shipped ones.
"""

from typing import Any

from deploy.portfolio.configuration import Choice, Sender, entries
from deploy.portfolio.debtors import BRAZIL
from tests.support.tree import ROOT

LADDER, PACKS = "br-consumer-standard", ("br-default", "br-sp")
ACCOUNT_ID = "br-sms"
SID_VARIABLE = "JOURNEY_SID_{}"
POLICY = ROOT / "services" / "scheduler"

Json = dict[str, Any]


def sid(number: int) -> str:
    """The provider's id of the account of this tenant."""
    return f"AC{number:032x}"


def sender_number(number: int) -> str:
    """From which number this tenant writes."""
    return f"+55114{number:07d}"


def account(number: int, *, token: str, inbound_url: str) -> Json:
    """The account as the sandbox must know it."""
    numbers = [{"number": sender_number(number), "inbound_url": inbound_url}]
    return {"sid": sid(number), "token": token, "numbers": numbers}


def configuration(
    number: int, *, tenant_id: str, sandbox_url: str, rate_per_second: float
) -> list[tuple[str, str, Json]]:
    """Everything but the tenant itself, in the order in which it must be stored."""
    choice = Choice(
        ladder_id=LADDER,
        ladder=(POLICY / "ladders" / f"{LADDER}.yaml").read_text(),
        packs={pack: (POLICY / "packs" / f"{pack}.yaml").read_text() for pack in PACKS},
        senders=[
            Sender(
                account_id=ACCOUNT_ID,
                number=sender_number(number),
                base_url=sandbox_url,
                credentials={
                    "account_sid": f"env:{SID_VARIABLE.format(number)}",
                    "auth_token": "env:SANDBOX_AUTH_TOKEN",
                },
            )
        ],
    )
    # The sample has two countries; one is enough here, and it comes first.
    wanted: dict[tuple[str, str], Json] = {}
    for kind, id_, body in entries(tenant_id=tenant_id, brazil=choice, united_states=choice):
        if kind != "tenant" and body.get("country", BRAZIL.country) == BRAZIL.country:
            wanted.setdefault((kind, id_), body)
    wanted["account", ACCOUNT_ID]["rate_per_second"] = rate_per_second
    return [(kind, id_, body) for (kind, id_), body in wanted.items()]
