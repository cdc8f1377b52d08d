"""Where the brokers are and how to prove to each other who we are.

In: a service's settings, or a plain address (local servers and tests: no TLS, no password).
Out: the keyword arguments that every client of Kafka is made with.
"""

import ssl
from dataclasses import dataclass, field
from typing import Any

from shared.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Addresses of brokers (host:port, separated by commas), and how they are spoken to."""

    bootstrap: str
    protocol: str = "PLAINTEXT"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = field(default="", repr=False)


Brokers = Cluster | str
"""What clients are given: a cluster, or the address of one that asks for nothing."""


def cluster_of(settings: ServiceSettings) -> Cluster:
    """Return the cluster that the environment describes."""
    password = settings.kafka_sasl_password
    return Cluster(
        bootstrap=settings.kafka_bootstrap,
        protocol=settings.kafka_security_protocol,
        tls=settings.kafka_tls_context(),
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_sasl_username,
        password=password.get_secret_value() if password is not None else "",
    )


def address_of(brokers: Brokers) -> str:
    """Return the address alone, for a person to read."""
    return brokers if isinstance(brokers, str) else brokers.bootstrap


def connection(brokers: Brokers) -> dict[str, Any]:
    """Return the arguments that every aiokafka client takes to connect."""
    cluster = Cluster(bootstrap=brokers) if isinstance(brokers, str) else brokers
    found: dict[str, Any] = {
        "bootstrap_servers": cluster.bootstrap,
        "security_protocol": cluster.protocol,
    }
    if cluster.tls is not None:
        found["ssl_context"] = cluster.tls
    if cluster.protocol.startswith("SASL_"):
        found["sasl_mechanism"] = cluster.mechanism
        found["sasl_plain_username"] = cluster.username
        found["sasl_plain_password"] = cluster.password
    return found
