"""The sample as a whole: so many debtors, three in five of them Brazilian.

In: seed, number, start date, the ladders' steps. Out: the debtors of both markets, no two with the
same number.
"""

from collections.abc import Sequence
from datetime import date

from deploy.portfolio.debtors import BRAZIL, UNITED_STATES, Debtor, LadderStep, draw
from deploy.portfolio.identities import Phones

BRAZILIAN_SHARE = 0.6


def draw_sample(
    *,
    seed: str,
    debtors: int,
    start: date,
    brazil_steps: Sequence[LadderStep] = (),
    us_steps: Sequence[LadderStep] = (),
) -> list[Debtor]:
    """Return `debtors` debtors as they stand on the `start` date."""
    brazilian = round(debtors * BRAZILIAN_SHARE)
    phones = Phones()
    markets = ((BRAZIL, brazilian, brazil_steps), (UNITED_STATES, debtors - brazilian, us_steps))
    return [
        debtor
        for market, count, steps in markets
        for debtor in draw(
            seed=seed, market=market, count=count, start=start, steps=steps, phones=phones
        )
    ]
