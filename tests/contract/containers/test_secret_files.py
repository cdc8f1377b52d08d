"""`make secrets`: files for a first start that production accepts, and that nobody overwrites."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.containers import keys
from deploy.local.keys import environment, made
from services.contact_ledger.settings import LedgerSettings
from services.email_sender.settings import EmailSenderSettings
from services.scheduler.settings import SchedulerSettings
from services.sms_sender.settings import SmsSenderSettings
from services.whatsapp_sender.settings import WhatsAppSenderSettings
from shared.secret_files import is_secret
from shared.settings import ServiceSettings, parse
from tests.support.tree import ROOT


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.write_missing(tmp_path / "secrets")
    return tmp_path / "secrets"


def test_the_folder_is_its_owner_s_alone(folder: Path) -> None:
    assert mode_of(folder) == 0o700


def test_a_container_s_user_can_read_each_file(folder: Path) -> None:
    mounted = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".env"]
    assert {mode_of(path) for path in mounted} == {0o444}
    assert {mode_of(folder / each) for each in ("providers", "mail_tls")} == {0o755}
    assert mode_of(folder / "sandbox.env") == 0o600  # read by Compose itself, as the operator


def test_what_is_there_is_never_touched(folder: Path) -> None:
    before = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    (folder / "text_key").unlink()
    assert keys.write_missing(folder) == ["text_key"]
    after = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert after.pop("text_key") != before.pop("text_key")
    assert after == before


def test_no_two_secrets_are_equal(folder: Path) -> None:
    texts = [path.read_text() for path in folder.iterdir() if path.is_file()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    "settings",
    [
        SchedulerSettings,
        SmsSenderSettings,
        EmailSenderSettings,
        WhatsAppSenderSettings,
        LedgerSettings,
    ],
)
def test_production_accepts_them(
    folder: Path, settings: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, field in settings.model_fields.items():
        monkeypatch.delenv(name.upper(), raising=False)
        path = folder / name
        if name == "postgres_url":
            path = folder / f"postgres_url_{settings.service_name}"
        if is_secret(field) and path.exists():
            monkeypatch.setenv(f"{name.upper()}_FILE", str(path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka:9092")
    assert parse(settings).mode == "production"


def test_the_sandbox_s_accounts_find_what_the_local_stack_gives_them() -> None:
    settings = {name.upper() for name in SmsSenderSettings.model_fields}
    local = environment("sms_sender", made())
    given = dict(line.split("=") for line in keys.makers()["sandbox.env"]().splitlines())
    assert set(local) - settings == set(given)
    assert all(local[name] == given[name] for name in keys.SANDBOX_ACCOUNTS)


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "deploy.containers.keys"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "REGUA_SECRETS": str(tmp_path / "new")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stdout
    secrets = [path.read_text().strip() for path in (tmp_path / "new").glob("*_key")]
    assert secrets
    assert not [secret for secret in secrets if secret in done.stdout]


def test_a_folder_that_takes_no_writing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REGUA_SECRETS", str(tmp_path / "file" / "secrets"))
    assert keys.main() == 1
    assert capsys.readouterr().err.count("\n") == 1
