"""The compose file, read by Compose itself: what every container must be, and must be given."""

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from deploy.containers import health, keys
from deploy.local import contained
from shared.secret_files import FILE_SUFFIX
from shared.settings import ServiceSettings, describe
from tests.support import compose
from tests.support.tree import ROOT, services

Json = dict[str, Any]
OWN_IMAGE = "regua:"
README = (ROOT / "README.md").read_text()
OURS_ALONE = {"HTTP_HOST"}  # set by the image
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+(\.\d+)+(-[a-z0-9]+)?")
SERVERS_KEEP_ROOT = {"kafka": "writes its configuration beside the program"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Json:
    folder = tmp_path_factory.mktemp("secrets")
    keys.write_missing(folder)
    return compose.resolved(folder, *compose.EVERYTHING)


@pytest.fixture(scope="module")
def containers(config: Json) -> dict[str, Json]:
    found: dict[str, Json] = config["services"]
    return found


def ours(containers: dict[str, Json]) -> dict[str, Json]:
    return {name: each for name, each in containers.items() if each["image"].startswith(OWN_IMAGE)}


def settings_of(container: Json) -> type[ServiceSettings] | None:
    """The settings class of the service that a container runs; None for the sandbox."""
    module = container["command"][2]
    if not module.startswith("services."):
        return None
    found = vars(importlib.import_module(f"{module}.settings")).values()
    return next(
        each
        for each in found
        if isinstance(each, type)
        and issubclass(each, ServiceSettings)
        and each.service_name == module.removeprefix("services.")
    )


def test_the_sandbox_runs_only_when_it_is_asked_for(containers: dict[str, Json]) -> None:
    by_default = compose.resolved(None)["services"]
    with_it = compose.resolved(None, *compose.SANDBOX)["services"]
    assert set(with_it) - set(by_default) == {"sandbox"}
    assert set(containers) - set(with_it) == {"sample"}
    assert {each["environment"]["MODE"] for each in ours(by_default).values()} == {"production"}


def test_the_sandbox_never_meets_the_data_of_production() -> None:
    trying, real = compose.resolved(None, *compose.SANDBOX), compose.resolved(None)
    assert not {each["name"] for each in trying["volumes"].values()} & {
        each["name"] for each in real["volumes"].values()
    }


def test_the_readme_says_how_much_memory_it_may_take() -> None:
    running = [each for each in compose.resolved(None)["services"].values() if restarts(each)]
    limits = [int(each["deploy"]["resources"]["limits"]["memory"]) for each in running]
    assert f"add up to {sum(limits) / 2**30:g} GB of memory" in " ".join(README.split())


def test_what_serves_comes_back_after_a_reboot_and_what_runs_once_does_not(
    containers: dict[str, Json],
) -> None:
    waited_for = {
        name
        for each in containers.values()
        for name, how in (each.get("depends_on") or {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    once = {name for name, each in containers.items() if not restarts(each)}
    # `up --wait` waits for the end of those that somebody waits for, and for ever for others.
    assert once == waited_for | {"sample"}
    assert {containers[name]["restart"] for name in set(containers) - once} == {"unless-stopped"}


def restarts(container: Json) -> bool:
    return bool(container["restart"] != "no")


def test_every_service_has_a_container_and_a_migration(containers: dict[str, Json]) -> None:
    run = {tuple(each["command"][2:4]) for each in ours(containers).values()}
    for service in services():
        assert (f"services.{service}", "serve") in run
        assert (f"services.{service}", "migrate") in run


def test_images_are_pinned_to_a_version(containers: dict[str, Json]) -> None:
    loose = {each["image"] for each in containers.values() if not PINNED.fullmatch(each["image"])}
    assert not loose


def test_our_image_is_named_by_the_project_s_version(containers: dict[str, Json]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {each["image"] for each in ours(containers).values()} == {f"{OWN_IMAGE}{version}"}


def test_containers_of_tests_are_those_of_the_compose_file(containers: dict[str, Json]) -> None:
    assert containers["postgres"]["image"] == contained.POSTGRES_IMAGE
    assert containers["kafka"]["image"] == contained.KAFKA_IMAGE


def test_ports_are_bound_to_this_machine_alone(containers: dict[str, Json]) -> None:
    bound = {port["host_ip"] for each in containers.values() for port in each.get("ports", ())}
    assert bound == {"127.0.0.1"}


def test_every_container_is_bounded_and_confined(containers: dict[str, Json]) -> None:
    for name, each in containers.items():
        limits = each["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= set(limits), name
        assert set(each["logging"]["options"]) == {"max-size", "max-file"}, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert each.get("read_only") or name in SERVERS_KEEP_ROOT, name
        assert not each.get("privileged"), name


def test_our_containers_run_as_the_image_s_user(containers: dict[str, Json]) -> None:
    assert {each["user"] for each in ours(containers).values()} == {"10001:10001"}


def test_kafka_and_postgresql_are_reached_by_services_alone(
    config: Json, containers: dict[str, Json]
) -> None:
    assert config["networks"]["servers"]["internal"]
    for name in ("kafka", "postgres"):
        assert list(containers[name]["networks"]) == ["servers"]
        assert "ports" not in containers[name]
    watching = {"grafana", "prometheus", "alertmanager", "tempo", "otel-collector", "sandbox"}
    assert not [name for name in watching if "servers" in containers[name]["networks"]]


def test_every_variable_is_one_that_its_service_reads(containers: dict[str, Json]) -> None:
    example = set(compose_sandbox_names())
    for name, each in ours(containers).items():
        settings = settings_of(each)
        if settings is None:
            continue
        rows = describe(settings)
        known = {row.name for row in rows}
        known |= {row.name + FILE_SUFFIX for row in rows if row.secret}
        unknown = set(each["environment"]) - known - example
        assert not unknown, f"{name} does not read {unknown}"


def compose_sandbox_names() -> list[str]:
    """Variables that the sandbox's sample accounts refer to."""
    return [line.split("=")[0] for line in keys.makers()["sandbox.env"]().splitlines()]


def test_every_required_setting_is_given(containers: dict[str, Json]) -> None:
    for name, each in ours(containers).items():
        settings = settings_of(each)
        if settings is None:
            continue
        required = {row.name for row in describe(settings) if row.default == "(required)"}
        given = {variable.removesuffix(FILE_SUFFIX) for variable in each["environment"]}
        assert not required - given, f"{name} lacks {required - given}"


def test_secrets_come_as_files_that_are_mounted(containers: dict[str, Json]) -> None:
    for name, each in containers.items():
        mounted = {f"/run/secrets/{secret['source']}" for secret in each.get("secrets", ())}
        named = {
            value
            for variable, value in (each.get("environment") or {}).items()
            if value and variable.endswith((FILE_SUFFIX, "__FILE"))
        }
        assert named <= mounted, name
        used = named | (
            {path for path in mounted if "postgres_url_" in path} if name == "database" else set()
        )
        assert mounted == used, f"{name} is given secrets that it does not use"


def test_make_secrets_writes_what_the_compose_file_mounts(config: Json) -> None:
    mounted = {Path(each["file"]).name for each in config["secrets"].values()}
    assert set(keys.makers()) == mounted | {"sandbox.env"}


def test_senders_read_the_files_of_their_providers(containers: dict[str, Json]) -> None:
    for service in ("sms-sender", "email-sender", "whatsapp-sender"):
        folder = next(each for each in containers[service]["volumes"] if each["type"] == "bind")
        assert folder["read_only"]
        grant = containers[service]["environment"]["PROVIDER_SECRETS"]
        assert grant == f"file:{folder['target']}/{{tenant}}/*"


def test_a_certificate_for_mail_comes_by_a_folder_that_no_account_may_name(
    containers: dict[str, Json],
) -> None:
    sender = containers["email-sender"]
    (folder,) = [each for each in sender["volumes"] if Path(each["source"]).name == "mail_tls"]
    assert folder["read_only"]
    environment = sender["environment"]
    assert not environment["PROVIDER_SECRETS"].startswith(f"file:{folder['target']}")
    given = {name for name in environment if name.startswith("MAIL_TLS_")}
    assert {"MAIL_TLS_CERTIFICATE_FILE", "MAIL_TLS_KEY_FILE", "MAIL_TLS_REQUIRED"} == given


def test_an_orderly_stop_is_never_cut_short(containers: dict[str, Json]) -> None:
    drain = ServiceSettings.model_fields["drain_seconds_max"].default
    for each in ours(containers).values():
        if each["restart"] != "no" and settings_of(each) is not None:
            assert int(each["stop_grace_period"].removesuffix("s")) > drain


def test_health_is_asked_by_a_program_of_the_image(containers: dict[str, Json]) -> None:
    for name, each in ours(containers).items():
        if each["restart"] == "no":
            continue
        check = each["healthcheck"]
        command, *words = check["test"][1:]
        assert command == "python", name
        assert (ROOT / words[-1].removeprefix("/app/")).exists()
        assert int(check["timeout"].removesuffix("s")) > health.ANSWER_SECONDS_MAX
        assert each["environment"]["HTTP_PORT"].isdigit()


def test_what_is_mounted_from_the_clone_is_there(containers: dict[str, Json]) -> None:
    for each in containers.values():
        for volume in each.get("volumes", ()):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume["source"]


def test_service_ports_are_those_of_the_settings(containers: dict[str, Json]) -> None:
    for name, each in ours(containers).items():
        settings = settings_of(each)
        if settings is None or each["restart"] == "no":
            continue
        port = each["environment"]["HTTP_PORT"]
        assert port in {str(published["target"]) for published in each["ports"]}, name


def test_modes_are_those_that_services_know() -> None:
    annotation = ServiceSettings.model_fields["mode"].annotation
    text = (ROOT / "deploy" / "sandbox.env").read_text()
    found = re.search(r"^REGUA_MODE=(\w+)$", text, re.MULTILINE)
    assert found is not None
    assert found[1] in get_args(annotation)
