"""The providers that the sandbox imitates: one line each.

In: the shared parts of a sandbox. Out: its providers by name. The first whose `takes` claims a path
answers it, so paths must not overlap.
"""

from collections.abc import Callable, Mapping

from deploy.sandbox.infobip import Infobip
from deploy.sandbox.meta import Meta
from deploy.sandbox.provider import Parts, Provider
from deploy.sandbox.ses import Ses
from deploy.sandbox.smtp import Smtp
from deploy.sandbox.twilio import Twilio

DEFAULT = "twilio"  # whose account is meant when a registration names no provider

PROVIDERS: Mapping[str, Callable[[Parts], Provider]] = {
    "twilio": Twilio,
    "infobip": Infobip,
    "meta": Meta,
    "ses": Ses,
    "smtp": Smtp,
}
