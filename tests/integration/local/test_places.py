"""Folders of the local servers: readable by their user, and one line when a disk refuses."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import places
from deploy.local.errors import CannotRun
from deploy.local.processes import Process


@pytest.fixture
def closed_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where we work now and may not write, whoever we are: as root we act as nobody."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        monkeypatch.chdir(folder)
        ourselves = os.geteuid()
        if ourselves == 0:
            os.seteuid(pwd.getpwnam("nobody").pw_uid)
        try:
            yield folder
        finally:
            os.seteuid(ourselves)
            folder.chmod(0o755)


def test_a_disk_that_takes_no_writing_is_named_in_one_line(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(closed_folder))
    refused(places.cache, closed_folder)
    refused(lambda: places.run_folder("up"), closed_folder)
    refused(lambda: places.server_folder(closed_folder / "data"), closed_folder)
    log = Process("any", ["/bin/true"], log=closed_folder / "any.log")
    refused(log.start, closed_folder)


def refused(work: object, folder: Path) -> None:
    assert callable(work)
    with pytest.raises(CannotRun) as error:
        work()
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def test_a_cache_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(CannotRun, match="writable by others"):
        places.own_folder(tmp_path / "shared")


def test_what_servers_cannot_reach_is_copied_with_its_neighbours(tmp_path: Path) -> None:
    for name in ("package", "package.libs"):
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "file").write_text(name)
    (tmp_path / "site").chmod(0o700)
    source = tmp_path / "site" / "package"
    with tempfile.TemporaryDirectory() as into:
        Path(into).chmod(0o755)
        found = places.readable(
            source, source.with_name("package.libs"), name="copies", into=Path(into)
        )
        assert places.enterable(found)
        assert (found.with_name("package.libs") / "file").read_text() == "package.libs"
        # Only root runs its servers as somebody else, who cannot enter root's folders.
        assert (found == source) == (places.server_user() is None)
