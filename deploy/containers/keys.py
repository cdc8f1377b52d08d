"""`make secrets`: the secret files that containers are given, made once for a first start.

In: a folder (REGUA_SECRETS, else `secrets`). Out: one file for each secret of the compose file, and
`sandbox.env` with what the sandbox's sample accounts refer to. What is there is never touched:
keys must outlive every container, and a database password in use must not change by itself.

The folder is closed to other people of the host. The files in it are readable, because a container
engine mounts them one by one as they are, and the image's user is neither root nor their owner.
"""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

KEY_BYTES = 32
PASSWORD_BYTES = 24  # in base64 without signs that a URL would have to escape
TOKEN_BYTES = 16
FOLDER_MODE = 0o700
FILE_MODE = 0o444
MOUNTED_FOLDERS = ("providers", "mail_tls")  # the operator's: what providers and an MX are shown
MOUNTED_MODE = 0o755  # mounted as a whole: the image's user must be able to enter them
OWNER_ONLY = 0o600
SERVICES = ("scheduler", "sms_sender", "email_sender", "whatsapp_sender", "contact_ledger")
DATABASE = "postgres:5432/regua"  # where the compose file's network finds it
# The accounts that the sandbox plays for the sample, by variable: no secrets, as in deploy/local.
SANDBOX_ACCOUNTS = {
    "SANDBOX_BR_SID": "AC" + "b5" * 16,
    "SANDBOX_US_SID": "AC" + "05" * 16,
    "SANDBOX_BR_MAIL_USER": "casa-aurora",
    "SANDBOX_US_MAIL_USER": "lakeside",
}


def main() -> int:
    """Write what is missing, say what was written; return the exit code."""
    folder = Path(os.environ.get("REGUA_SECRETS") or "secrets")
    try:
        written = write_missing(folder)
    except OSError as error:
        sys.stderr.write(f"secrets: cannot write to {folder} ({error.strerror})\n")
        return 1
    kept = "nothing was missing" if not written else f"wrote {', '.join(sorted(written))}"
    sys.stdout.write(f"{folder}: {kept}\n")
    return 0


def write_missing(folder: Path) -> list[str]:
    """Make every secret that the folder lacks; return the names of those."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    for name in MOUNTED_FOLDERS:
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(MOUNTED_MODE)
    written = []
    for name, make in makers().items():
        mode = OWNER_ONLY if name.endswith(".env") else FILE_MODE
        if _write_new(folder / name, make, mode):
            written.append(name)
    return written


def makers() -> dict[str, Callable[[], str]]:
    """Return how each file's content is made, by file name."""
    made: dict[str, Callable[[], str]] = {
        "postgres_admin_password": _password,
        "grafana_admin_password": _password,
        "identity_keys": lambda: f"first:{_key()}",
        "lookup_key": lambda: f"first:{_key()}",
        "sandbox_control_key": _token,
        "sandbox.env": _sandbox_environment,
    }
    made |= dict.fromkeys(("address_key", "text_key", "callback_key", "ledger_kek"), _key)
    return made | {f"postgres_url_{service}": _url_of(service) for service in SERVICES}


def _write_new(path: Path, make: Callable[[], str], mode: int) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(make() + "\n")
        os.fchmod(file.fileno(), mode)
    return True


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _token() -> str:
    return secrets.token_hex(TOKEN_BYTES)


def _url_of(service: str) -> Callable[[], str]:
    return lambda: f"postgresql://regua_{service}:{_password()}@{DATABASE}"


def _sandbox_environment() -> str:
    values = {"SANDBOX_AUTH_TOKEN": _token(), **SANDBOX_ACCOUNTS}
    return "\n".join(f"{name}={value}" for name, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
