"""E-mail as a value: what makes this sender differ from the others.

A new provider is one module in `providers/` and one line here.
"""

from services.email_sender.message import Email, compose
from services.email_sender.providers.ses import Ses
from services.email_sender.providers.smtp import Smtp
from shared.sender.channel import Channel
from shared.sender.replies import is_opt_out, read_reply

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
)
