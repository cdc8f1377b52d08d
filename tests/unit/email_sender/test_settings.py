"""How mail comes in: what the environment says, and what is refused at the start."""

from pathlib import Path

import pytest

from services.email_sender.settings import EmailSenderSettings
from shared.settings import SettingsError, parse
from tests.support.certificates import Authority
from tests.support.contacts import ADDRESS_KEY


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in EmailSenderSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://regua_probe:x9@db/regua")
    for name in ("ADDRESS_KEY", "TEXT_KEY", "CALLBACK_KEY"):
        monkeypatch.setenv(name, ADDRESS_KEY)
    monkeypatch.setenv("MODE", "sandbox")
    return monkeypatch


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def read(
    environment: pytest.MonkeyPatch,
    certificate: Path | str | None = None,
    key: Path | str | None = None,
    **more: str,
) -> EmailSenderSettings:
    files = {"MAIL_TLS_CERTIFICATE_FILE": certificate, "MAIL_TLS_KEY_FILE": key}
    for name, value in (files | more).items():
        if value is not None:
            environment.setenv(name, str(value))
    return parse(EmailSenderSettings)


def test_without_settings_mail_comes_in_as_it_is(environment: pytest.MonkeyPatch) -> None:
    assert read(environment).mail_tls_files() is None


def test_a_certificate_and_its_key(
    environment: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("mail", password="right-Word-1")
    password = tmp_path / "password"
    password.write_text("right-Word-1\n")
    found = read(environment, certificate, key, MAIL_TLS_KEY_PASSWORD_FILE=str(password))
    files = found.mail_tls_files()
    assert files is not None
    assert (files.certificate, files.key) == (certificate, key)


def test_one_without_the_other(environment: pytest.MonkeyPatch, authority: Authority) -> None:
    certificate, _ = authority.issue("mail")
    expected = "^set both MAIL_TLS_CERTIFICATE_FILE and MAIL_TLS_KEY_FILE$"
    with pytest.raises(SettingsError, match=expected):
        read(environment, certificate)


def test_tls_that_is_required_and_not_there(environment: pytest.MonkeyPatch) -> None:
    expected = "^MAIL_TLS_REQUIRED needs MAIL_TLS_CERTIFICATE_FILE and MAIL_TLS_KEY_FILE$"
    with pytest.raises(SettingsError, match=expected):
        read(environment, MAIL_TLS_REQUIRED="true")


def test_a_file_that_is_not_there_is_named(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    certificate, _ = authority.issue("mail")
    expected = r"MAIL_TLS_KEY_FILE cannot be read \(No such file or directory\)"
    with pytest.raises(SettingsError, match=expected):
        read(environment, certificate, "/nowhere/mail.key")


def test_a_key_of_another_certificate(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    certificate, _ = authority.issue("mail")
    _, other = authority.issue("other")
    expected = "MAIL_TLS_CERTIFICATE_FILE and MAIL_TLS_KEY_FILE are not a certificate and its key"
    with pytest.raises(SettingsError, match=expected):
        read(environment, certificate, other)


def test_an_encrypted_key_asks_nobody_for_its_password(
    environment: pytest.MonkeyPatch, authority: Authority
) -> None:
    certificate, key = authority.issue("mail", password="right-Word-1")
    with pytest.raises(SettingsError, match="an encrypted key needs MAIL_TLS_KEY_PASSWORD"):
        read(environment, certificate, key)
