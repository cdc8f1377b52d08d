"""Command line: `python -m services.contact_ledger serve | migrate | settings`."""

import argparse
import sys

from services.contact_ledger.app import Ledger
from services.contact_ledger.settings import LedgerSettings
from shared import settings as settings_of
from shared.postgres import migrate
from shared.runtime import Service


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.contact_ledger", description=__doc__)
    parser.add_argument("command", choices=("serve", "migrate", "settings"))
    command = parser.parse_args().command
    if command == "settings":
        sys.stdout.write(settings_of.markdown(LedgerSettings))
        return 0
    settings = settings_of.load(LedgerSettings)
    if command == "migrate":
        url = settings.postgres_url.get_secret_value()
        revision = migrate.upgrade(settings.service_name, url)
        sys.stdout.write(f"contact_ledger is at revision {revision}\n")
        return 0
    return Service(settings).run(Ledger(settings).assemble)


if __name__ == "__main__":
    sys.exit(main())
