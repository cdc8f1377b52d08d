"""Kafka's jars: only what the lock names, byte for byte; else one line with the remedy."""

import hashlib
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.errors import CannotRun

CONTENT = b"PK: a jar, as far as hashes go"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of one jar, which lies in a Maven repository on this disk."""
    repository = tmp_path / "repository"
    home = repository / "org" / "example" / "small" / "1.0"
    home.mkdir(parents=True)
    (home / "small-1.0.jar").write_bytes(CONTENT)
    monkeypatch.setenv("REGUA_MAVEN_REPOSITORY", str(repository))
    return written(tmp_path, "org.example:small:1.0", CONTENT)


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / "jars.lock"
    path.write_text(f"# a comment\n{name} {hashlib.sha256(content).hexdigest()}\n")
    return path


def test_a_locked_jar_is_fetched_once_and_verified(lock: Path, tmp_path: Path) -> None:
    (path,) = jars.fetched(lock, tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    (tmp_path / "repository" / "org" / "example" / "small" / "1.0" / "small-1.0.jar").unlink()
    assert jars.fetched(lock, tmp_path / "cache") == [path]


def test_a_jar_changed_in_the_cache_is_refused_with_the_remedy(lock: Path, tmp_path: Path) -> None:
    (path,) = jars.fetched(lock, tmp_path / "cache")
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(CannotRun) as refused:
        jars.fetched(lock, tmp_path / "cache")
    says_in_one_line(str(refused.value), str(path), "SHA-256", "delete it", "KAFKA_BOOTSTRAP=")


def test_a_jar_fetched_with_another_hash_never_enters_the_cache(lock: Path, tmp_path: Path) -> None:
    other = written(tmp_path, "org.example:small:1.0", b"what was promised")
    with pytest.raises(CannotRun, match="SHA-256"):
        jars.fetched(other, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    del lock


def test_a_jar_that_cannot_be_fetched_names_itself_and_the_remedy(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there: no network
    absent = written(tmp_path, "org.example:absent:1.0", b"")
    with pytest.raises(CannotRun) as refused:
        jars.fetched(absent, tmp_path / "cache")
    says_in_one_line(str(refused.value), "absent-1.0.jar", "KAFKA_BOOTSTRAP=host:port", "compose")
    del lock


def test_the_shipped_lock_names_every_jar_once_with_its_hash() -> None:
    locked = jars.read_lock()
    names = [f"{jar.group}:{jar.artifact}" for jar in locked]
    assert len(set(names)) == len(names)
    assert {len(jar.sha256) for jar in locked} == {64}
    versions = {jar.version for jar in locked if jar.artifact in ("kafka_2.13", "kafka-clients")}
    assert versions == {"4.3.0"}, "server and client of one release"


def says_in_one_line(message: str, *parts: str) -> None:
    assert "\n" not in message
    for part in parts:
        assert part in message
