"""Containers instead of embedded servers: only when asked for, and never silently not."""

from pathlib import Path

import pytest

from deploy.local import contained, servers
from deploy.local.errors import CannotRun


@pytest.fixture(autouse=True)
def no_servers_given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("POSTGRES_URL", "KAFKA_BOOTSTRAP", contained.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_the_option_servers_are_embedded(tmp_path: Path) -> None:
    assert not isinstance(servers.postgres(tmp_path), contained.ContainedPostgres)


def test_the_option_without_an_engine_is_one_line(
    no_servers_given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_servers_given.setenv(contained.VARIABLE, "1")
    no_servers_given.setenv("PATH", str(tmp_path))  # no docker here, whatever this machine has
    for chosen in (servers.postgres, servers.kafka):
        with pytest.raises(CannotRun, match="no Docker engine answers"):
            chosen(tmp_path)


def test_given_servers_come_before_containers(
    no_servers_given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_servers_given.setenv(contained.VARIABLE, "1")
    no_servers_given.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    assert servers.kafka(tmp_path).bootstrap == "broker:9092"
