"""Settings of the SMS sender."""

from typing import ClassVar

from shared.sender.settings import SenderSettings


class SmsSenderSettings(SenderSettings):
    """What every sender reads; SMS adds nothing of its own."""

    service_name: ClassVar[str] = "sms_sender"
