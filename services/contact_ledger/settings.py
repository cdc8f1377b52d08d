"""The ledger's environment variables, beside those of every service.

In: the environment. Out: one frozen value. LEDGER_KEK must outlive the ledger's backups and never
lie in them: without it no body opens, which is what makes erasure final.
"""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from shared.settings import KeyringSecret, KeySecret, ServiceSettings


def _named(value: object) -> object:
    """Let a single key come without an id: it is key 1 of a ring that has not rotated yet."""
    return f"1:{value}" if isinstance(value, str) and ":" not in value else value


class LedgerSettings(ServiceSettings):
    """What the contact ledger reads."""

    service_name: ClassVar[str] = "contact_ledger"

    http_port: int = Field(
        8083, ge=0, le=65_535, description="port the HTTP server binds; 0 takes any free one"
    )
    ledger_kek: KeySecret = Field(
        description="wraps every debtor's data key: 32 random bytes in base64; keep it apart from "
        "the database and its backups"
    )
    lookup_key: Annotated[KeyringSecret, BeforeValidator(_named)] = Field(
        description="digests references, phones and e-mails for search: id:base64[,id:base64...], "
        "current first"
    )
    text_key: KeySecret = Field(
        description="opens the rendered texts that senders seal: 32 random bytes in base64, the "
        "same as theirs"
    )
    batch_records_max: int = Field(
        1_000, ge=1, le=5_000, description="most records recorded in one transaction"
    )
