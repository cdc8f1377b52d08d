"""The policy: ladder and law as pure functions over data (no I/O, no clock; `now` is law time).

In: a debtor's state, the rulebook, the holds that are in force, an instant. Out: contacts to plan,
contacts to cancel, verdicts with reasons. `fold` takes events into the state, `decide` plans,
`gate` licenses one contact at dispatch, `explain` tells what both would say.
"""
