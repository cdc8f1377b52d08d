"""Who a debtor is to the holds: its own id, and those of all who were merged into it.

In: a debtor's state. Out: hold subjects. A hold placed on somebody who was merged stays what it is
and is lifted as it was placed, by its own id; it simply binds whoever took that person over.
"""

from services.scheduler.policy.state import DebtorState
from shared.events.hold import subject_of


def debtor_subjects(state: DebtorState) -> list[str]:
    """Return the subjects of holds on this person, the debtor's own first."""
    tenant = state.tenant_id
    own = subject_of("debtor", tenant, str(state.debtor_id))
    if not state.absorbed and not state.absorbing:
        return [own]
    return [own, *(subject_of("debtor", tenant, m) for m in (*state.absorbed, *state.absorbing))]
