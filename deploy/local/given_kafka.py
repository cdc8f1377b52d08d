"""A Kafka that exists already, and how it is spoken to when it asks for TLS or a password.

In: `KAFKA_BOOTSTRAP` and the `KAFKA_SECURITY_PROTOCOL`, `KAFKA_SASL_…` and `KAFKA_TLS_…` variables,
read and checked as every service reads them. Out: the cluster for what the stack itself does there
(topics), and the variables that its services are given. An embedded broker is never told of them.
"""

import os
from typing import ClassVar, Literal, Protocol

from pydantic import SecretStr

from deploy.local.errors import CannotRun
from shared.kafka.cluster import Brokers, Cluster, cluster_of
from shared.secret_files import FILE_SUFFIX, SettingsError, is_secret
from shared.settings import ServiceSettings, parse

PREFIXES = ("kafka_security_", "kafka_sasl_", "kafka_tls_")


class StackSettings(ServiceSettings):
    """What a stack reads of the settings that it hands on."""

    service_name: ClassVar[str] = "regua"
    mode: Literal["production", "sandbox"] = "sandbox"
    postgres_url: SecretStr = SecretStr("")  # of the servers' administrator, if any: not ours


class GivenKafka:
    """Somebody else's Kafka; starting and stopping it is somebody else's work."""

    def __init__(self) -> None:
        try:
            settings = parse(StackSettings)
        except SettingsError as error:
            raise CannotRun(str(error)) from None
        self.bootstrap = settings.kafka_bootstrap
        if not all(each.rpartition(":")[2].isdigit() for each in self.bootstrap.split(",")):
            raise CannotRun("KAFKA_BOOTSTRAP must look like host:port, or several with commas")
        self.cluster: Cluster = cluster_of(settings)
        self.environment = {name: os.environ[name] for name in _variables() if os.environ.get(name)}

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


class Broker(Protocol):
    """Any broker of a stack."""

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port."""


def brokers_of(server: Broker) -> Brokers:
    """Return how a stack's own work reaches its brokers."""
    return server.cluster if isinstance(server, GivenKafka) else server.bootstrap


def environment_of(server: Broker) -> dict[str, str]:
    """Return what services must be told besides the address."""
    return dict(server.environment) if isinstance(server, GivenKafka) else {}


def _variables() -> list[str]:
    fields = ServiceSettings.model_fields.items()
    wanted = [(name.upper(), field) for name, field in fields if name.startswith(PREFIXES)]
    files = [name + FILE_SUFFIX for name, field in wanted if is_secret(field)]
    return [name for name, _ in wanted] + files
