"""Further ways into a sender, besides the providers' webhooks: what one is, what it lives on.

In: a channel that has some (`Channel.doors`). Out: routes for the HTTP server, and listeners that
are started after it and stopped before what they hand on to. Whatever comes in by a door is handed
to `Surroundings.receive`: stored, stops obeyed, then understood, exactly like a webhook.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from shared.directory import Directory
from shared.http.edge import RawRoute
from shared.sender.callbacks import Callbacks
from shared.sender.provider import Account, WebhookRequest
from shared.sender.settings import SenderSettings


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a door may use of its sender.

    `receive` stores what came for an account and says whether it was new; it raises the database's
    passing errors: then it must come again. `configured` says that the directory is complete.
    """

    settings: SenderSettings
    directory: Directory
    callbacks: Callbacks
    receive: Callable[[Account, WebhookRequest], Awaitable[bool]]
    configured: Callable[[], bool]


class Door(Protocol):
    """One further way in."""

    name: str

    def routes(self) -> Sequence[RawRoute]:
        """Return its HTTP routes."""

    async def start(self) -> None:
        """Open what it listens on besides HTTP."""

    async def stop(self) -> None:
        """Close it; what is in hand is finished."""
