"""Whose permits are whose."""

from shared.events.configuration import SenderAccount
from shared.sender.provider import Account
from shared.sender.throttle import account_key, number_key

SETTINGS = SenderAccount(
    channel="sms", provider="twilio", sender="+5511987654321", rate_per_second=1.0, credentials={}
)


def test_a_tenant_that_claims_anothers_number_does_not_slow_it_down() -> None:
    """A tenant chooses its account's sender and rate; the row of a number is shared by replicas."""
    ours, theirs = (
        Account(tenant_id=tenant, account_id="sms", settings=SETTINGS, credentials={})
        for tenant in ("acme", "other")
    )
    assert number_key(ours) != number_key(theirs)
    assert account_key(ours) != account_key(theirs)
