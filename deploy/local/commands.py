"""How the processes of a stack are run: command lines, and what each service is told.

In: where its servers are and which ports it gets. Out: arguments and environment variables, the
same that an operator would give in production.
"""

import os
import sys
from pathlib import Path

from deploy.local.processes import LOOPBACK

SESSION_TIMEOUT_MS = 6_000  # a dead consumer's work moves on after this

INHERITED = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR",
    "LOG_LEVEL", "OTLP_ENDPOINT", "TRACE_SAMPLE_RATIO",
)  # fmt: skip


def inherited() -> dict[str, str]:
    """Return what every process takes over from the environment of whoever started the stack."""
    return {key: os.environ[key] for key in INHERITED if key in os.environ}


def serving(service: str) -> list[str]:
    """Return the command that serves a service."""
    return [sys.executable, "-m", f"services.{service}", "serve"]


def sandbox(port: int, seed: str, folder: Path) -> list[str]:
    """Return the command of the provider sandbox; old truth lines go to a file of the folder."""
    options = ["--port", str(port), "--seed", seed]
    truth = ["--truth-file", str(folder / "truth.ndjson")]
    return [sys.executable, "-m", "deploy.sandbox", "serve", *options, *truth]


def environment(
    service: str,
    *,
    mode: str,
    postgres_url: str,
    kafka_bootstrap: str,
    partitions: int,
    port: int,
    mail_port: int,
) -> dict[str, str]:
    """Return what a service is told besides its secrets; `mail_port` 0 takes no mail in."""
    given = {"MAIL_PORT": str(mail_port)} if service == "email_sender" else {}
    return given | {
        "MODE": mode,
        "POSTGRES_URL": postgres_url,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "KAFKA_PARTITIONS": str(partitions),
        "KAFKA_REPLICATION": "1",
        "KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(port),
        "PUBLIC_URL": f"http://{LOOPBACK}:{port}",
    }
