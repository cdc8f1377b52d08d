"""Settings of a sender: what every service reads, and what calling providers needs.

In: environment variables. Out: one frozen value; every field's description is the README's row.
"""

from pydantic import Field

from shared.settings import KeySecret, ServiceSettings


class SenderSettings(ServiceSettings):
    """Each sender derives its own class and names its service."""

    address_key: KeySecret = Field(
        description="key of the digests of addresses, the same as the scheduler's"
    )
    text_key: KeySecret = Field(
        description="key that seals rendered messages and replies, the same as the ledger's"
    )
    callback_key: KeySecret = Field(description="key that signs the callback URLs given out")
    provider_secrets: str = Field(
        "file:/run/secrets/{tenant}/*",
        description="what accounts may refer to, separated by commas: `env:NAME` or `file:/path`, "
        "after `tenant=` for one tenant only; `{tenant}` is the account's tenant, `*` any one name",
    )
    provider_hosts: str = Field(
        "",
        description="hosts (`host` or `host:port`, separated by commas) that a `base_url` of an "
        "account may name; a provider's own address needs no entry, a sandbox none at all",
    )
    provider_calls_max: int = Field(
        128, ge=1, le=2_000, description="provider calls in flight at once in this process"
    )
    provider_connect_seconds_max: float = Field(
        3.0, gt=0.0, le=30.0, description="longest wait for a connection to a provider"
    )
    provider_read_seconds_max: float = Field(
        15.0, gt=0.0, le=60.0, description="longest wait for a provider's answer; then: unknown"
    )
    receipt_retention_days: int = Field(
        30, ge=7, le=400, description="how long attempts and raw receipts are kept"
    )
    topic_suffix: str = Field(
        "", max_length=64, description="ending of every topic's name, to share a Kafka cluster"
    )
