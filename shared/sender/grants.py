"""What accounts may name: the secrets that a tenant's accounts may read, the hosts they may call.

In: the settings `PROVIDER_SECRETS` and `PROVIDER_HOSTS` of this process. Out: yes or no for one
reference of one tenant, and for one `base_url`. What the operator did not name is refused: accounts
are written over the API, and a reference to our own keys, or to another tenant's, would leave with
the next call. The variables of this process's own settings are refused even where a pattern fits.
"""

import re
from collections.abc import Iterable

from yarl import URL

from shared.sender.errors import CredentialError
from shared.sender.settings import SenderSettings
from shared.settings import FILE_SUFFIX

SANDBOX_SECRETS = "env:*"  # a sandbox holds example keys and calls a provider on this machine
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"  # what `*` stands for: one name, never a path

Grant = tuple[str | None, str]  # (tenant, None for every one; pattern of a reference)


class Grants:
    """What the operator of this process allows."""

    def __init__(
        self, *, secrets: str, hosts: str, own_variables: Iterable[str] = (), sandbox: bool = False
    ) -> None:
        """Read both settings; in a sandbox every host may be called."""
        self._grants = [_grant(each) for each in _listed(secrets)]
        self._hosts = frozenset(each.lower() for each in _listed(hosts))
        self._own = frozenset(own_variables)
        self._sandbox = sandbox

    @classmethod
    def of(cls, settings: SenderSettings) -> "Grants":
        """Return what these settings allow."""
        sandbox = settings.mode == "sandbox"
        names = [name.upper() for name in type(settings).model_fields]
        return cls(
            secrets=f"{settings.provider_secrets},{SANDBOX_SECRETS if sandbox else ''}",
            hosts=settings.provider_hosts,
            own_variables=[*names, *(name + FILE_SUFFIX for name in names)],
            sandbox=sandbox,
        )

    def may_read(self, tenant_id: str, reference: str) -> bool:
        """Say whether accounts of this tenant may refer to `env:NAME` or `file:/path`."""
        if reference.removeprefix("env:").upper() in self._own:
            return False
        return any(
            owner in (None, tenant_id) and _pattern(pattern, tenant_id).fullmatch(reference)
            for owner, pattern in self._grants
        )

    def check_host(self, base_url: str | None) -> None:
        """Raise `CredentialError` unless an account may send its secrets to this address."""
        if base_url is None or self._sandbox:
            return
        try:
            url = URL(base_url, encoded=True)  # read as the client will read it
            host, port = (url.host or "").lower(), url.explicit_port
        except ValueError:
            host, port = "", None
        named = f"{host}:{port}" if port is not None else host
        if not host or not self._hosts & {host, named}:
            msg = f"base_url names the host {named}, which PROVIDER_HOSTS does not list"
            raise CredentialError(msg)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _grant(text: str) -> Grant:
    owner, equals, pattern = text.partition("=")
    return (owner, pattern) if equals else (None, text)


def _pattern(pattern: str, tenant_id: str) -> re.Pattern[str]:
    """Return the pattern for one tenant; `re` remembers the few that are in use."""
    parts = [part.replace("{tenant}", tenant_id) for part in pattern.split("*")]
    return re.compile(_NAME.join([re.escape(part) for part in parts]))
