"""Settings from the environment (twelve-factor), the same for every process.

In: environment variables; each secret may come as `NAME` or as a file named by `NAME_FILE`.
Out: one frozen settings value per process, or one line on stderr that names the variable and the
remedy, and exit code 2. Values that ship in examples are refused outside sandbox mode, so that a
copied example never becomes a production key.
"""

import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

from shared.privacy import EXAMPLE_PREFIX, Keyring, key_bytes
from shared.secret_files import FILE_SUFFIX, SecretFileSource, SettingsError, is_secret
from shared.tls import TlsFiles, TlsFilesError, client_context

__all__ = [
    "EXIT_BAD_SETTINGS",
    "EXIT_CANNOT_START",
    "FILE_SUFFIX",
    "CannotStart",
    "KeySecret",
    "KeyringSecret",
    "ServiceSettings",
    "SettingRow",
    "SettingsError",
    "describe",
    "load",
    "markdown",
    "parse",
]

EXIT_BAD_SETTINGS = 2
EXIT_CANNOT_START = 3
EXAMPLE_VALUES = frozenset({"changeme", "change-me", "example", "password", "postgres", "secret"})

S = TypeVar("S", bound="ServiceSettings")


class CannotStart(Exception):
    """The process cannot start; the text is one line with the remedy. Exit code 3."""


class SettingRow(NamedTuple):
    """One variable as the `settings` command and the README show it."""

    name: str
    default: str
    meaning: str
    secret: bool


def _checked_key(secret: SecretStr) -> SecretStr:
    key_bytes(secret.get_secret_value())
    return secret


def _checked_keyring(secret: SecretStr) -> SecretStr:
    Keyring.parse(secret.get_secret_value())
    return secret


KeySecret = Annotated[SecretStr, AfterValidator(_checked_key)]
"""A secret of 32 random bytes in base64; read it with `shared.privacy.key_bytes`."""

KeyringSecret = Annotated[SecretStr, AfterValidator(_checked_keyring)]
"""A secret `id:base64[,id:base64…]`, current key first; read it with `Keyring.parse`."""


class ServiceSettings(BaseSettings):
    """What every service reads; each service derives its own class from this one."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )
    service_name: ClassVar[str] = "service"

    mode: Literal["production", "sandbox"] = Field(
        "production", description="sandbox allows the stepped clock and example secrets"
    )
    kafka_bootstrap: str = Field(
        min_length=3, description="Kafka brokers, host:port, separated by commas"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how brokers are spoken to: SSL is TLS, SASL_… with a password"
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="how SASL proves the password; PLAIN over TLS only"
    )
    kafka_sasl_username: str = Field("", description="this service's user at the brokers")
    kafka_sasl_password: SecretStr | None = Field(None, description="that user's password")
    kafka_tls_ca_file: Path | None = Field(
        None, description="CA certificates (PEM) that brokers must show; unset: the system's"
    )
    kafka_tls_certificate_file: Path | None = Field(
        None, description="certificate (PEM) that this service shows to brokers"
    )
    kafka_tls_key_file: Path | None = Field(None, description="its private key (PEM)")
    kafka_tls_key_password: SecretStr | None = Field(
        None, description="password of that key, if it is encrypted"
    )
    postgres_url: SecretStr = Field(
        description="this service's own database user: postgresql://user:password@host:port/regua; "
        "with TLS: …/regua?sslmode=verify-full&sslrootcert=/path/ca.pem"
    )
    http_host: str = Field("127.0.0.1", description="address the HTTP server binds")
    http_port: int = Field(
        0, ge=0, le=65_535, description="port the HTTP server binds; 0 takes any free one"
    )
    public_url: str = Field(
        "http://127.0.0.1", description="how providers and clients reach this service from outside"
    )
    http_body_bytes_max: int = Field(
        8 * 1024 * 1024, ge=1_024, description="largest request body in bytes; above it: 413"
    )
    http_json_depth_max: int = Field(
        32, ge=4, le=200, description="deepest nesting of a JSON request body; above it: 400"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe log line that is written"
    )
    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector (OTLP over HTTP), e.g. http://host:4318"
    )
    trace_sample_ratio: float = Field(
        0.01, ge=0.0, le=1.0, description="share of requests whose path is traced"
    )
    database_pool_max: int = Field(
        8, ge=1, le=100, description="most connections this process opens to PostgreSQL"
    )
    kafka_partitions: int = Field(
        12, ge=1, le=1_000, description="partitions of each topic, fixed when it is created"
    )
    kafka_replication: int = Field(
        1, ge=1, le=7, description="copies of each partition when a topic is created"
    )
    kafka_session_timeout_ms: int = Field(
        30_000, ge=1_000, le=300_000, description="silence after which a consumer loses its work"
    )
    drain_seconds_max: float = Field(
        25.0, gt=0.0, le=300.0, description="longest orderly stop in seconds; then it is cut short"
    )

    @model_validator(mode="after")
    def _refuse_examples(self) -> "ServiceSettings":
        if self.mode == "sandbox":
            return self
        for name, secret in _secrets_of(self):
            if _is_example(secret):
                variable = name.upper()
                msg = f"{variable} holds an example value; set your own, or MODE=sandbox to try out"
                raise SettingsError(msg)
        return self

    @model_validator(mode="after")
    def _check_kafka(self) -> "ServiceSettings":
        protocol, mechanism = self.kafka_security_protocol, self.kafka_sasl_mechanism
        named = self.kafka_sasl_username != "" and self.kafka_sasl_password is not None
        if protocol.startswith("SASL_") and not named:
            raise SettingsError(
                f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)"
            )
        if protocol == "SASL_PLAINTEXT" and mechanism == "PLAIN" and self.mode == "production":
            raise SettingsError(
                "KAFKA_SASL_MECHANISM=PLAIN sends the password readable: set "
                "KAFKA_SECURITY_PROTOCOL=SASL_SSL, or a SCRAM mechanism"
            )
        try:
            self.kafka_tls_context()
        except TlsFilesError as error:
            raise SettingsError(str(error)) from None
        return self

    def kafka_tls_context(self) -> ssl.SSLContext | None:
        """Return what TLS connections to brokers are made with; None when they use none."""
        password = self.kafka_tls_key_password
        files = TlsFiles(
            ca=self.kafka_tls_ca_file,
            certificate=self.kafka_tls_certificate_file,
            key=self.kafka_tls_key_file,
            key_password=password.get_secret_value() if password is not None else "",
        )
        if self.kafka_security_protocol in {"SSL", "SASL_SSL"}:
            return client_context(files, variables="KAFKA_TLS")
        if files != TlsFiles():
            raise TlsFilesError("KAFKA_TLS_… needs KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
        return None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then the files it names."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, SecretFileSource(settings_cls))


def load(cls: type[S]) -> S:
    """Return the settings of this process, or print one line and exit with code 2."""
    try:
        return parse(cls)
    except SettingsError as error:
        sys.stderr.write(f"{cls.service_name}: {error}\n")
        raise SystemExit(EXIT_BAD_SETTINGS) from None


def parse(cls: type[S]) -> S:
    """Return the settings of this process; raise `SettingsError` with one line."""
    try:
        return cls()
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None
    except UnreadableSetting as error:  # names the field; a value that should be JSON and is not
        raise SettingsError(str(error).partition("\n")[0]) from None


def describe(cls: type[ServiceSettings]) -> list[SettingRow]:
    """Return one row per variable: name, default (never a secret's value), meaning, secret."""
    rows = []
    for name, field in cls.model_fields.items():
        secret = is_secret(field)
        if field.is_required():
            default = "(required)"
        else:
            default = (
                "(unset)" if field.default in (None, PydanticUndefined) else str(field.default)
            )
        rows.append(SettingRow(name.upper(), default, field.description or "", secret))
    return rows


def markdown(cls: type[ServiceSettings]) -> str:
    """Return the variables as a Markdown table, for the README."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for row in describe(cls):
        note = f" (secret; also as `{row.name}{FILE_SUFFIX}`)" if row.secret else ""
        lines.append(f"| `{row.name}` | `{row.default}` | {row.meaning}{note} |")
    return "\n".join(lines) + "\n"


def _secrets_of(settings: BaseSettings) -> Iterator[tuple[str, str]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield name, value.get_secret_value()


def _is_example(secret: str) -> bool:
    parts = [secret, *(part.partition(":")[2] for part in secret.split(","))]
    if "://" in secret:
        parts.append(unquote(urlsplit(secret).password or ""))
    return any(part.startswith(EXAMPLE_PREFIX) or part.lower() in EXAMPLE_VALUES for part in parts)


def _one_line(error: ValidationError) -> str:
    """Name every wrong variable and what it should be, without any value."""
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        variable = str(item["loc"][0]).upper() if item["loc"] else ""
        problems.append(f"{variable} {_remedy(variable, item)}".strip())
    return "; ".join(problems)


def _remedy(variable: str, item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return f"is not set; set {variable} (`settings` lists what each variable means)"
    cause = item.get("ctx", {}).get("error")
    text = str(cause) if isinstance(cause, Exception) else str(item["msg"]).split(", ")[0]
    return text if not variable else f"is wrong: {text[:1].lower()}{text[1:]}"


if __name__ == "__main__":
    sys.stdout.write(markdown(ServiceSettings))
