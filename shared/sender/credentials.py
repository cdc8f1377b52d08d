"""Accounts ready to use: their settings from the directory, their secrets from where they are kept.

In: `env:NAME` and `file:/path` references of a sender account. Out: an `Account` with the secrets
resolved, looked up again every few seconds, so that a rotated secret works without a restart.
Tenants write accounts, so nothing is read and nobody is called that the process's own settings
(`shared.sender.grants`) do not name: else an account could carry our keys to a host of its choice.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from shared.directory import Directory
from shared.events.configuration import SenderAccount, is_public
from shared.sender.errors import CredentialError
from shared.sender.grants import Grants
from shared.sender.provider import Account

RESOLVED_SECONDS_MAX = 5.0  # a rotated secret is picked up this soon
SECRET_BYTES_MAX = 65_536  # a secret is far smaller; a larger file is not one


class Accounts:
    """The sender accounts of every tenant, with resolved credentials."""

    def __init__(self, directory: Directory, grants: Grants) -> None:
        self._directory = directory
        self._grants = grants
        self._resolved: dict[tuple[str, str], tuple[float, SenderAccount, Account]] = {}

    def get(self, tenant_id: str, account_id: str) -> Account | None:
        """Return the account, or None while its configuration has not arrived.

        Raise `CredentialError` when a reference leads nowhere, or where it may not lead.
        """
        settings = self._directory.body("account", tenant_id, account_id, SenderAccount)
        if settings is None:
            return None
        key = (tenant_id, account_id)
        now = time.monotonic()
        known = self._resolved.get(key)
        if known is not None and known[1] is settings and now - known[0] < RESOLVED_SECONDS_MAX:
            return known[2]
        self._grants.check_host(settings.base_url)
        account = Account(
            tenant_id=tenant_id,
            account_id=account_id,
            settings=settings,
            credentials=resolve(settings.credentials, tenant_id, self._grants),
        )
        self._resolved[key] = (now, settings, account)
        return account


def resolve(references: Mapping[str, str], tenant_id: str, grants: Grants) -> dict[str, str]:
    """Return the values behind references; raise `CredentialError` naming the one that fails."""
    return {
        name: _resolved(name, reference, tenant_id, grants)
        for name, reference in references.items()
    }


def _resolved(name: str, reference: str, tenant_id: str, grants: Grants) -> str:
    scheme, _, where = reference.partition(":")
    if scheme in {"env", "file"} and not grants.may_read(tenant_id, reference):
        msg = f"credential {name}: PROVIDER_SECRETS does not let this tenant read {scheme}:{where}"
        raise CredentialError(msg)
    if scheme == "env":
        value = os.environ.get(where, "")
    elif scheme == "file":
        value = _read(name, Path(where))
    elif is_public(name):
        value = reference
    else:
        msg = f"credential {name} must be a reference: env:NAME or file:/path"
        raise CredentialError(msg)
    if not value.strip():
        msg = f"credential {name} is empty: set what {scheme}:{where} refers to"
        raise CredentialError(msg)
    return value.strip()


def _read(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(SECRET_BYTES_MAX + 1)
        if len(raw) > SECRET_BYTES_MAX:
            msg = f"credential {name}: file:{path} is over {SECRET_BYTES_MAX} bytes"
            raise CredentialError(msg)
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"credential {name}: file:{path} cannot be read ({type(error).__name__})"
        raise CredentialError(msg) from None
