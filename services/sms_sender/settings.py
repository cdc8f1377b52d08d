"""Settings of the SMS sender."""

from typing import ClassVar

from pydantic import Field

from shared.sender.settings import SenderSettings


class SmsSenderSettings(SenderSettings):
    """What every sender reads, and a port of its own."""

    service_name: ClassVar[str] = "sms_sender"

    http_port: int = Field(
        8082, ge=0, le=65_535, description="port the HTTP server binds; 0 takes any free one"
    )
