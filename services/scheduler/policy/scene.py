"""One debt on its ladder, in one call of `decide`: what the choice of its next step looks at.

In: the setting of the decision, the debt's place on its ladder, its portfolio, the packs that bind.
Out: the views of it that choosing a channel, or a person, needs.
"""

from datetime import date, datetime
from typing import NamedTuple

from services.scheduler.policy import steps
from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.setting import Setting, lawful_start
from services.scheduler.policy.ways import Look
from shared.events.configuration import Portfolio


class Scene(NamedTuple):
    """One debt on its ladder."""

    setting: Setting
    view: steps.View
    portfolio: Portfolio
    jurisdiction: Jurisdiction

    def look(self) -> Look:
        """What the choice of a channel looks at."""
        setting = self.setting
        return Look(
            setting.state,
            self.portfolio,
            setting.rulebook,
            self.jurisdiction,
            self.view.day,
            setting.held,
        )

    def start(self, channel: str, day: date) -> datetime:
        """First lawful instant on or after a local date."""
        return lawful_start(self.jurisdiction, channel, day)
