"""Ladders: from YAML text to a checked `Ladder`."""

from services.scheduler.policy.rulebook import Ladder


def load_ladder(text: str) -> Ladder:
    """Read a ladder; raise `PolicyError` naming line, field and remedy."""
    raise NotImplementedError(text)
