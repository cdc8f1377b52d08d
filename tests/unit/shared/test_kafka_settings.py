"""How brokers are spoken to: what the environment says, and what is refused at the start."""

from pathlib import Path
from typing import ClassVar

import pytest

from shared.kafka.cluster import Cluster, cluster_of, connection
from shared.settings import ServiceSettings, SettingsError, parse
from tests.support.certificates import Authority

Given = dict[str, str]
LOGIN = {"KAFKA_SASL_USERNAME": "sender", "KAFKA_SASL_PASSWORD": "right-Word-1"}


class Probe(ServiceSettings):
    service_name: ClassVar[str] = "probe"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in Probe.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://regua_probe:x9@db/regua")
    return monkeypatch


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def read(environment: pytest.MonkeyPatch, given: Given) -> Probe:
    for name, value in given.items():
        environment.setenv(name, value)
    return parse(Probe)


def test_without_settings_a_connection_asks_for_nothing(environment: pytest.MonkeyPatch) -> None:
    expected = {"bootstrap_servers": "broker:9092", "security_protocol": "PLAINTEXT"}
    assert connection(cluster_of(read(environment, {}))) == expected
    assert connection("broker:9092") == expected


def test_a_password_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-a-File-1\n")
    given = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "sender",
        "KAFKA_SASL_PASSWORD_FILE": str(file),
    }
    found = connection(cluster_of(read(environment, given)))
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == (
        "sender",
        "from-a-File-1",
    )
    assert found["ssl_context"].check_hostname


def test_no_part_of_the_program_shows_the_password() -> None:
    assert "right-Word-1" not in repr(Cluster(bootstrap="broker:9092", password="right-Word-1"))


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("missing", LOGIN)
def test_sasl_needs_a_user_and_a_password(
    environment: pytest.MonkeyPatch, protocol: str, missing: str
) -> None:
    given = {name: value for name, value in LOGIN.items() if name != missing}
    with pytest.raises(SettingsError, match="needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"):
        read(environment, given | {"KAFKA_SECURITY_PROTOCOL": protocol})


def test_a_password_is_never_sent_readable_in_production(environment: pytest.MonkeyPatch) -> None:
    given = LOGIN | {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
    }
    with pytest.raises(SettingsError, match="set KAFKA_SECURITY_PROTOCOL=SASL_SSL"):
        read(environment, given)
    assert read(environment, given | {"MODE": "sandbox"}).kafka_sasl_mechanism == "PLAIN"


@pytest.mark.parametrize(
    ("name", "value"), [("KAFKA_SECURITY_PROTOCOL", "TLS"), ("KAFKA_SASL_MECHANISM", "GSSAPI")]
)
def test_unknown_words_are_refused_by_name(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name} is wrong: input should be"):
        read(environment, {name: value})


def test_files_for_tls_without_tls_are_a_mistake(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    with pytest.raises(SettingsError, match="needs KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL"):
        read(environment, {"KAFKA_TLS_CA_FILE": str(authority.ca)})


def test_a_certificate_comes_with_its_key(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    certificate, _ = authority.issue("sender")
    given = {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_TLS_CERTIFICATE_FILE": str(certificate),
    }
    with pytest.raises(SettingsError, match="set both KAFKA_TLS_CERTIFICATE_FILE and"):
        read(environment, given)


def test_a_file_that_is_not_there_is_named(environment: pytest.MonkeyPatch) -> None:
    given = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA_FILE": "/nowhere/ca.pem"}
    with pytest.raises(SettingsError, match=r"^KAFKA_TLS_CA_FILE cannot be read \(No such file"):
        read(environment, given)


def test_a_file_without_a_certificate_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    given = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA_FILE": str(file)}
    with pytest.raises(SettingsError, match="KAFKA_TLS_CA_FILE holds no certificate"):
        read(environment, given)


@pytest.mark.parametrize("password", ["", "wrong-Word-1"])
def test_an_encrypted_key_needs_its_password_and_nobody_is_asked_for_it(
    environment: pytest.MonkeyPatch, authority: Authority, password: str
) -> None:
    certificate, key = authority.issue("sender", password="right-Word-1")
    given = {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_TLS_CERTIFICATE_FILE": str(certificate),
        "KAFKA_TLS_KEY_FILE": str(key),
    }
    if password:
        given["KAFKA_TLS_KEY_PASSWORD"] = password
    with pytest.raises(SettingsError, match="an encrypted key needs KAFKA_TLS_KEY_PASSWORD"):
        read(environment, given)


def test_a_key_of_another_certificate_is_refused(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    certificate, _ = authority.issue("one")
    _, key = authority.issue("another")
    given = {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_TLS_CERTIFICATE_FILE": str(certificate),
        "KAFKA_TLS_KEY_FILE": str(key),
    }
    with pytest.raises(SettingsError, match="are not a certificate and its key"):
        read(environment, given)
