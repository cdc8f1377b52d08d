"""What watches the platform is given services, paths and data sources that exist."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import compose
from tests.support.promtool import promtool
from tests.support.tree import ROOT, services

FOLDER = ROOT / "deploy" / "observability"
CHECK_SECONDS_MAX = 60
Json = dict[str, Any]


def read(*parts: str) -> Json:
    found: Json = yaml.safe_load(FOLDER.joinpath(*parts).read_text())
    return found


@pytest.fixture(scope="module")
def containers() -> dict[str, Json]:
    found: dict[str, Json] = compose.resolved(None)["services"]
    return found


def test_every_service_is_scraped_where_it_serves(containers: dict[str, Json]) -> None:
    jobs = {job["job_name"]: job for job in read("prometheus", "prometheus.yml")["scrape_configs"]}
    for service in services():
        name = service.replace("_", "-")
        port = containers[name]["environment"]["HTTP_PORT"]
        assert jobs[service]["static_configs"] == [{"targets": [f"{name}:{port}"]}]


def test_prometheus_itself_accepts_its_file(tmp_path: Path) -> None:
    copied = tmp_path / "prometheus.yml"
    rules = f"{FOLDER / 'prometheus' / 'rules'}/"
    text = (FOLDER / "prometheus" / "prometheus.yml").read_text()
    copied.write_text(text.replace("/etc/prometheus/rules/", rules))
    done = subprocess.run(
        [promtool(), "check", "config", str(copied)],
        capture_output=True,
        text=True,
        check=False,
        timeout=CHECK_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout


def test_nothing_is_scraped_that_is_not_there(containers: dict[str, Json]) -> None:
    for job in read("prometheus", "prometheus.yml")["scrape_configs"]:
        for target in [each for part in job["static_configs"] for each in part["targets"]]:
            host = target.partition(":")[0]
            assert host in containers or host == "127.0.0.1", target


def test_rules_and_dashboards_are_where_their_readers_look(containers: dict[str, Json]) -> None:
    assert read("prometheus", "prometheus.yml")["rule_files"] == ["/etc/prometheus/rules/*.yml"]
    assert list((FOLDER / "prometheus" / "rules").glob("*.yml"))
    provider = read("grafana", "provisioning", "dashboards", "regua.yaml")["providers"][0]
    mounted = {each["target"]: each["source"] for each in containers["grafana"]["volumes"]}
    dashboards = Path(mounted[provider["options"]["path"]])
    assert list(dashboards.glob("*.json"))
    home = containers["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (dashboards / Path(home).name).exists()


def test_data_sources_lead_to_containers(containers: dict[str, Json]) -> None:
    for source in read("grafana", "provisioning", "datasources", "regua.yaml")["datasources"]:
        host = source["url"].removeprefix("http://").partition(":")[0]
        assert host in containers


def test_dashboards_name_data_sources_that_are_provisioned() -> None:
    sources = read("grafana", "provisioning", "datasources", "regua.yaml")["datasources"]
    known = {source["uid"] for source in sources}
    for path in (FOLDER / "grafana" / "dashboards").glob("*.json"):
        used = set(uids(json.loads(path.read_text())))
        unknown = {uid for uid in used - known if not uid.startswith(("$", "-- ", "grafana"))}
        assert not unknown, f"{path.name} reads from {unknown}"


def uids(node: object) -> list[str]:
    """Every data source uid below a node of a dashboard."""
    if isinstance(node, list):
        return [uid for each in node for uid in uids(each)]
    if not isinstance(node, dict):
        return []
    source = node.get("datasource")
    own = [source["uid"]] if isinstance(source, dict) and "uid" in source else []
    return own + [uid for each in node.values() for uid in uids(each)]


def test_spans_go_from_the_services_to_the_trace_store(containers: dict[str, Json]) -> None:
    collector = read("otel-collector", "config.yaml")
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    sent_to = {
        each["environment"]["OTLP_ENDPOINT"]
        for each in containers.values()
        if "OTLP_ENDPOINT" in (each.get("environment") or {})
    }
    assert sent_to == {f"http://otel-collector:{port}"}
    store = read("tempo", "config.yaml")["distributor"]["receivers"]["otlp"]["protocols"]["http"]
    endpoint = collector["exporters"]["otlp_http/traces"]["endpoint"]
    assert endpoint == f"http://tempo:{store['endpoint'].rpartition(':')[2]}"


def test_every_alert_finds_a_receiver() -> None:
    config = read("alertmanager", "alertmanager.yml")
    known = {receiver["name"] for receiver in config["receivers"]}
    routes = [config["route"], *config["route"]["routes"]]
    assert {route["receiver"] for route in routes} <= known
