"""WhatsApp as a value: what makes this sender differ from the others.

A new provider is one module in `providers/` and one line here.
"""

from services.whatsapp_sender.gate import forbidden
from services.whatsapp_sender.message import WhatsAppMessage, compose
from services.whatsapp_sender.people import People
from services.whatsapp_sender.providers.meta import Meta
from services.whatsapp_sender.rules import PAIR_RATE_PER_MINUTE
from shared.sender.channel import Channel
from shared.sender.replies import is_opt_out, read_reply

WHATSAPP: Channel[WhatsAppMessage] = Channel(
    name="whatsapp",
    service="whatsapp_sender",
    compose=compose,
    providers={"meta": Meta("meta")},
    is_opt_out=is_opt_out,
    read_reply=read_reply,
    forbidden=forbidden,
    memory=People(),
    pair_rate_per_minute=PAIR_RATE_PER_MINUTE,
)
