"""E-mail as a value: what makes this sender differ from the others.

A new provider is one module in `providers/` and one line here.
"""

from collections.abc import Sequence

from services.email_sender.listener import MailDoor
from services.email_sender.message import Email, compose
from services.email_sender.providers.ses import Ses
from services.email_sender.providers.smtp import Smtp
from services.email_sender.returns import read_own
from services.email_sender.unsubscribe import UnsubscribeDoor
from shared.sender.channel import Channel
from shared.sender.doors import Door, Surroundings
from shared.sender.replies import is_opt_out, read_reply


def doors(surroundings: Surroundings) -> Sequence[Door]:
    """Return the ways in besides webhooks: mail, and one-click unsubscribes."""
    return (UnsubscribeDoor(surroundings), MailDoor(surroundings))


EMAIL: Channel[Email] = Channel(
    name="email",
    service="email_sender",
    compose=compose,
    providers={
        "smtp": Smtp(),
        "ses": Ses(),
    },
    is_opt_out=is_opt_out,
    read_reply=read_reply,
    doors=doors,
    read_own=read_own,
)
