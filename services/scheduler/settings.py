"""Environment variables of the scheduler: those of every service, and its keys."""

from typing import ClassVar

from pydantic import Field

from shared.settings import KeyringSecret, KeySecret, ServiceSettings


class SchedulerSettings(ServiceSettings):
    """What the scheduler reads; see `shared.settings` for the rest."""

    service_name: ClassVar[str] = "scheduler"

    http_port: int = Field(
        8081, ge=0, le=65_535, description="port the HTTP server binds; 0 takes any free one"
    )
    identity_keys: KeyringSecret = Field(
        description="keys under which documents and references are stored, current first: "
        "id:base64[,id:base64…]; never drop one that identities still use"
    )
    address_key: KeySecret = Field(
        description="key under which addresses are held, the same for scheduler and senders: "
        "32 random bytes in base64"
    )
