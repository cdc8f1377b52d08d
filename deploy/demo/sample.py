"""`make sample`: the sample's configuration, in a stack that `make up` started.

In: the variables of `.regua/up.env`. Out: the tenant `sample` with a Brazilian and a US portfolio,
their templates, packs, ladders and sandbox accounts, stored through the configuration API; and one
line for the shell, `export KEY=…`, the tenant's API key. Run it again for another key.
"""

import os
import sys
from pathlib import Path

from deploy.demo.platform import Platform, Refused
from deploy.demo.setting import prepare

TENANT = "sample"
URLS = {
    "scheduler": "SCHEDULER",
    "sms_sender": "SMS_SENDER",
    "email_sender": "EMAIL_SENDER",
    "whatsapp_sender": "WHATSAPP_SENDER",
    "contact_ledger": "LEDGER",
    "sandbox": "SANDBOX",
}


class Running:
    """The stack that the variables describe."""

    def __init__(self) -> None:
        self.urls = {name: _variable(variable) for name, variable in URLS.items()}
        self.keys = {"sandbox_account": _variable("SANDBOX_AUTH_TOKEN")}

    @property
    def mail_door(self) -> str:
        """Where mails for the e-mail sender come in: host:port."""
        return _variable("MAIL_DOOR")

    def url(self, name: str) -> str:
        """Base URL of a process."""
        return self.urls[name]


def main() -> int:
    """Store the sample's configuration; return the exit code."""
    running = Running()
    keys = {"admin_key": _variable("ADMIN_KEY"), "control_key": _variable("SANDBOX_CONTROL_KEY")}
    try:
        with Platform(running.urls, **keys) as platform:
            prepare(platform, running, TENANT)
            print(f"export KEY={platform.tenant['X-API-Key']}")  # noqa: T201 - for the shell
    except Refused as error:
        print(f"sample: {error}", file=sys.stderr)  # noqa: T201 - the one line a user sees
        return 1
    return 0


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if named := os.environ.get(f"{name}_FILE"):  # as containers are given secrets
        value = Path(named).read_text().strip()
    if not value:
        raise SystemExit(f"sample: {name} is not set: run `make up`, then `. .regua/up.env` here")
    return value


if __name__ == "__main__":
    sys.exit(main())
