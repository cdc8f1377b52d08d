"""What a permit names: the hold subjects that stop its contact, the versions it was decided by.

In: a contact that passed every rule. Out: subjects for the sender to look at before each provider
call, and the versions of portfolio, ladder, packs, template and account.
"""

from collections.abc import Callable

from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.people import debtor_subjects
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.segment import ladder_for
from services.scheduler.policy.state import ContactRecord, DebtorState, DebtState
from shared.events.configuration import Portfolio
from shared.events.hold import subject_of
from shared.events.states import ContactState

AddressSubject = Callable[[str, str], str]  # channel, address -> hold subject


def subjects(
    state: DebtorState,
    record: ContactRecord,
    debts: list[DebtState],
    rulebook: Rulebook,
    address: str,
) -> tuple[str, ...]:
    """Return every hold subject that stops this contact; `address` is the address's own."""
    tenant = state.tenant_id
    version = rulebook.templates[record.template_id][0]
    return (
        subject_of("everything"),
        subject_of("tenant", tenant),
        subject_of("portfolio", tenant, record.portfolio_id),
        subject_of("channel", tenant, record.channel),
        subject_of("template", tenant, record.template_id),
        subject_of("template", tenant, f"{record.template_id}@{version}"),
        *debtor_subjects(state),
        *(subject_of("debt", tenant, str(debt.debt_id)) for debt in debts),
        address,
    )


def of_planned(
    state: DebtorState, rulebook: Rulebook, address_subject: AddressSubject
) -> list[str]:
    """Return the subjects that only a contact has: planned templates, addresses of its channel."""
    found: set[str] = set()
    for record in state.contacts.values():
        if record.state != ContactState.PLANNED:
            continue
        template = rulebook.templates.get(record.template_id)
        found.add(subject_of("template", state.tenant_id, record.template_id))
        if template is not None:
            versioned = f"{record.template_id}@{template[0]}"
            found.add(subject_of("template", state.tenant_id, versioned))
        found.update(
            address_subject(point.channel, point.address)
            for point in state.points
            if point.channel == record.channel
        )
    return sorted(found)


def versions(
    rulebook: Rulebook,
    portfolio: Portfolio,
    record: ContactRecord,
    lead: DebtState,
    jurisdiction: Jurisdiction,
) -> dict[str, str]:
    """Return the versions of everything the decision used."""
    account_id = portfolio.accounts[record.channel]
    named = {
        f"portfolio:{record.portfolio_id}": str(rulebook.portfolios[record.portfolio_id][0]),
        f"template:{record.template_id}": str(rulebook.templates[record.template_id][0]),
        f"account:{account_id}": str(rulebook.accounts[account_id][0]),
        **jurisdiction.versions,
    }
    found = ladder_for(lead, portfolio, rulebook)
    if found is not None:
        named[f"ladder:{found[1].id}"] = str(found[0])
    return named
