"""Who may be written to for whom: the sender's own look at what the policy has decided already.

In: a task, the portfolio it is for, the account it goes out on. Out: why it must not be sent, or
None. WhatsApp's business policy names debt collection among what it forbids, so a third-party
collector's portfolio is closed until somebody has recorded the written attestation; the scheduler
says so first, and this process asks again, because it is the last one before the provider.
"""

import phonenumbers

from shared.events.configuration import Portfolio, SenderAccount
from shared.events.contact import ContactTask

THIRD_PARTY = "third_party"
UNITED_STATES = "US"


def forbidden(task: ContactTask, portfolio: Portfolio, account: SenderAccount) -> str | None:
    """Return the rule that forbids this contact, None when nothing does."""
    if portfolio.collector_role not in account.roles:
        return "account_not_for_role"
    if account.countries and portfolio.country not in account.countries:
        return "account_not_for_country"
    attested = bool((portfolio.whatsapp_attestation or "").strip())
    if portfolio.collector_role == THIRD_PARTY and not attested:
        return "attestation_missing"
    if task.content_class == "marketing" and _country(task, portfolio) == UNITED_STATES:
        return "marketing_refused_in_country"  # Meta delivers no marketing templates there
    return None


def _country(task: ContactTask, portfolio: Portfolio) -> str:
    """Return the country whose rule counts: that of the number, where it tells."""
    try:
        number = phonenumbers.parse(task.address)
    except phonenumbers.NumberParseException:
        return portfolio.country
    return phonenumbers.region_code_for_number(number) or portfolio.country
