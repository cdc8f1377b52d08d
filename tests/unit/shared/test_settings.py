"""Settings: environment, files for secrets, one line per mistake, no example keys in earnest."""

import base64
import os
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from shared.settings import (
    KeyringSecret,
    KeySecret,
    ServiceSettings,
    SettingsError,
    describe,
    load,
    markdown,
    parse,
)

KEY = base64.b64encode(b"k" * 32).decode()


class Probe(ServiceSettings):
    service_name: ClassVar[str] = "probe"

    text_key: KeySecret = Field(description="seals texts")
    identity_keys: KeyringSecret | None = Field(None, description="digests documents")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.removesuffix("_FILE").lower() in Probe.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://regua_probe:s3cr3t-word@db/regua")
    monkeypatch.setenv("TEXT_KEY", KEY)
    return monkeypatch


def test_defaults_are_production_values() -> None:
    settings = parse(Probe)
    assert settings.mode == "production"
    assert settings.http_host == "127.0.0.1"
    assert settings.http_body_bytes_max == 8 * 1024 * 1024
    assert settings.kafka_session_timeout_ms == 30_000


def test_secrets_are_not_shown() -> None:
    assert "s3cr3t-word" not in repr(parse(Probe))
    assert KEY not in str(parse(Probe))


def test_a_secret_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://regua_probe:from-file@db/regua\n")
    environment.delenv("POSTGRES_URL")
    environment.setenv("POSTGRES_URL_FILE", str(file))
    url = parse(Probe).postgres_url.get_secret_value()
    assert url == "postgresql://regua_probe:from-file@db/regua"


def test_an_optional_secret_may_come_from_a_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"a:{KEY}")
    environment.setenv("IDENTITY_KEYS_FILE", str(file))
    assert parse(Probe).identity_keys == SecretStr(f"a:{KEY}")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"KAFKA_BOOTSTRAP": None}, "KAFKA_BOOTSTRAP is not set; set KAFKA_BOOTSTRAP"),
        ({"HTTP_PORT": "99999"}, "HTTP_PORT is wrong: input should be less than or equal"),
        ({"HTTP_PORT": "secret-word"}, "HTTP_PORT is wrong: input should be a valid integer"),
        ({"MODE": "test"}, "MODE is wrong: input should be 'production' or 'sandbox'"),
        ({"TEXT_KEY": "c2hvcnQ="}, "TEXT_KEY is wrong: must be 32 random bytes in base64"),
        ({"IDENTITY_KEYS": KEY}, "IDENTITY_KEYS is wrong: must be id:base64"),
        ({"TEXT_KEY_FILE": "/x"}, "TEXT_KEY and TEXT_KEY_FILE are both set; keep one"),
        (
            {"TEXT_KEY": None, "TEXT_KEY_FILE": "/no/such/file"},
            "TEXT_KEY_FILE cannot be read (No such file or directory); name a readable file",
        ),
        ({"TEXT_KEY": "example-key"}, "TEXT_KEY holds an example value; set your own"),
        ({"IDENTITY_KEYS": f"a:{KEY},b:example-old"}, "IDENTITY_KEYS holds an example value"),
        (
            {"POSTGRES_URL": "postgresql://u:example-word@db/regua"},
            "POSTGRES_URL holds an example value",
        ),
        (
            {"POSTGRES_URL": "postgresql://u:postgres@db/regua"},
            "POSTGRES_URL holds an example value",
        ),
    ],
)
def test_a_mistake_is_one_line_naming_variable_and_remedy(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str | None],
    line: str,
) -> None:
    for name, value in changes.items():
        if value is None:
            environment.delenv(name)
        else:
            environment.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load(Probe)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"probe: {line}")
    assert said.count("\n") == 1
    for value in changes.values():
        if value and value not in {"test", "/x", "/no/such/file"}:
            assert value not in said


def test_every_missing_variable_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("KAFKA_BOOTSTRAP")
    environment.delenv("TEXT_KEY")
    with pytest.raises(SettingsError, match=r"KAFKA_BOOTSTRAP .*TEXT_KEY "):
        parse(Probe)


def test_example_secrets_work_in_sandbox_mode(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MODE", "sandbox")
    environment.setenv("TEXT_KEY", "example-text-key")
    assert parse(Probe).text_key.get_secret_value() == "example-text-key"


def test_the_table_lists_every_variable_once_and_no_secret() -> None:
    rows = describe(Probe)
    assert [row.name for row in rows] == [name.upper() for name in Probe.model_fields]
    assert all(row.meaning for row in rows)
    by_name = {row.name: row for row in rows}
    assert by_name["POSTGRES_URL"].secret
    assert by_name["IDENTITY_KEYS"].secret
    assert not by_name["KAFKA_BOOTSTRAP"].secret
    table = markdown(Probe)
    assert "| `TEXT_KEY` | `(required)` | seals texts (secret; also as `TEXT_KEY_FILE`) |" in table
    assert KEY not in table
