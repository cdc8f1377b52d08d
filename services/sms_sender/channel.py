"""SMS as a value: what makes this sender differ from the others.

A new provider is one file in `providers/` and one line here. `twilio_compatible` is the same
adapter for other houses that speak that API; its accounts must name a `base_url`.
"""

from services.sms_sender.message import SmsMessage, compose
from services.sms_sender.providers.infobip import Infobip
from services.sms_sender.providers.twilio import Twilio
from shared.sender.channel import Channel
from shared.sender.replies import is_opt_out, read_reply

SMS: Channel[SmsMessage] = Channel(
    name="sms",
    service="sms_sender",
    compose=compose,
    providers={
        "twilio": Twilio("twilio"),
        "twilio_compatible": Twilio("twilio_compatible"),
        "infobip": Infobip(),
    },
    is_opt_out=is_opt_out,
    read_reply=read_reply,
)
