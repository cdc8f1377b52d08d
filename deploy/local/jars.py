"""Kafka's jars, from Maven through `jgo`, held to the checked-in `jars.lock`.

In: `jars.lock` (coordinates and SHA-256 of every jar). Out: a folder in the cache of this user
with exactly those files, verified at every start.
`python -m deploy.local lock` resolves the dependencies anew and rewrites the lock file.
"""

import hashlib
import os
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from deploy.local import places
from deploy.local.errors import CannotRun

KAFKA = "org.apache.kafka:kafka_2.13:4.3.0"
# Kafka's API jars log through slf4j 1.7 and bring log4j 2 without the bridge between them: without
# this one the broker says nothing at all. Its version is that of Kafka's own log4j.
LOG_BRIDGE = "org.apache.logging.log4j:log4j-slf4j-impl"
LOG4J = "org.apache.logging.log4j:log4j-core"
LOCK = Path(__file__).with_name("jars.lock")
LOCK_HEAD = (
    "# Every jar of the embedded Kafka: Maven coordinates and SHA-256.\n"
    "# Written by `python -m deploy.local lock`; a jar that differs is refused.\n"
)
FETCH_TIMEOUT_SECONDS = 60  # for each jar; the largest has 7 MB
REMEDY = "set KAFKA_BOOTSTRAP=host:port to use a broker that exists, or use docker compose"


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One locked jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the jar's file."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """The jars of the lock file, in class path order."""
    lines = [
        line.split() for line in lock.read_text().splitlines() if line and not line.startswith("#")
    ]
    return [
        Jar(group=group, artifact=artifact, version=version, sha256=digest)
        for (group, artifact, version), digest in ((line[0].split(":"), line[1]) for line in lines)
    ]


def fetched(lock: Path = LOCK, folder: Path | None = None) -> list[Path]:
    """Every locked jar, fetched if need be and verified; raises CannotRun with the remedy."""
    jars = read_lock(lock)
    folder = folder or places.cache() / "kafka-jars"
    with places.locked(folder):
        places.own_folder(folder)
        missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
        if missing:
            _fetch(missing, folder)
        for jar in jars:
            _verify(jar, folder / jar.file_name)
    return [folder / jar.file_name for jar in jars]


def _verify(jar: Jar, path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise CannotRun(
            f"{path} does not have the SHA-256 of jars.lock: delete it and try again, or {REMEDY}"
        )


def _fetch(jars: list[Jar], folder: Path) -> None:
    """Download into a folder beside, verify, and only then move into place."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - needed once per machine, slow to import

    with tempfile.TemporaryDirectory(dir=folder) as staging:
        maven = MavenContext(
            repo_cache=Path(staging),
            local_repos=_local_repositories(),
            timeout=FETCH_TIMEOUT_SECONDS,
        )
        for jar in jars:
            component = maven.project(jar.group, jar.artifact).at_version(jar.version)
            try:
                path = component.artifact().resolve()
            except Exception as error:  # whatever it is, the remedy is the same
                raise CannotRun(
                    f"cannot fetch {jar.file_name} from Maven ({type(error).__name__}): {REMEDY}"
                ) from error
            _verify(jar, path)
            partial = folder / f"{jar.file_name}.partial"
            shutil.copyfile(path, partial)
            partial.chmod(0o644)
            partial.replace(folder / jar.file_name)


def _local_repositories() -> list[Path]:
    """A Maven repository on this disk, for machines without a network: REGUA_MAVEN_REPOSITORY."""
    given = os.environ.get("REGUA_MAVEN_REPOSITORY")
    return [Path(given)] if given else []


def write_lock(lock: Path = LOCK) -> int:
    """Resolve the dependencies anew and rewrite the lock file; returns the number of jars."""
    locked = _resolve(KAFKA)
    log4j = next(jar.version for jar in locked if f"{jar.group}:{jar.artifact}" == LOG4J)
    # Apart: resolved together, log4j's own version list pulls Kafka's client to an older release.
    locked += [
        jar
        for jar in _resolve(f"{LOG_BRIDGE}:{log4j}")
        if f"{jar.group}:{jar.artifact}" == LOG_BRIDGE
    ]
    lines = sorted(f"{jar.group}:{jar.artifact}:{jar.version} {jar.sha256}" for jar in locked)
    lock.write_text(LOCK_HEAD + "\n".join(lines) + "\n")
    return len(lines)


def _resolve(coordinates: str) -> list[Jar]:
    import jgo  # noqa: PLC0415 - needed only to rewrite the lock

    with tempfile.TemporaryDirectory() as folder:
        built = jgo.build(coordinates, cache_dir=Path(folder))
        written = tomllib.loads((built.path / "jgo.lock.toml").read_text())
    return [
        Jar(
            group=entry["groupId"],
            artifact=entry["artifactId"],
            version=entry["version"],
            sha256=entry["sha256"],
        )
        for entry in written["dependencies"]
    ]
