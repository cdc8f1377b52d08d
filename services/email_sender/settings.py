"""Settings of the e-mail sender."""

from typing import ClassVar

from pydantic import Field

from shared.sender.settings import SenderSettings


class EmailSenderSettings(SenderSettings):
    """What every sender reads, and the way in by mail."""

    service_name: ClassVar[str] = "email_sender"

    http_port: int = Field(
        8084, ge=0, le=65_535, description="port the HTTP server binds; 0 takes any free one"
    )
    mail_host: str = Field(
        "127.0.0.1", description="address on which bounces and replies are taken in by SMTP"
    )
    mail_port: int = Field(8025, ge=0, le=65_535, description="port of it; 0 takes no mail in")
    mail_connections_max: int = Field(
        20,
        ge=1,
        le=2_000,
        description="SMTP connections taken in at once; a mail may take 10 MiB of memory",
    )
