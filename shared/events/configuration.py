"""Configuration as it travels on platform.config.v1: every entry whole, newest version wins.

In: the scheduler's configuration API. Out: every service's directory (`shared.directory`). Secrets
never travel: accounts carry references (`env:NAME`, `file:/path`) that the sender resolves.
"""

from datetime import datetime

import msgspec

CONFIG_CHANGED = "config.changed.v1"  # the type of every record on platform.config.v1


class ConfigEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry; key on the topic is `kind/tenant/id`. `body` is one of the structs below."""

    kind: str
    tenant_id: str
    id: str
    version: int
    body: msgspec.Raw
    changed_at: datetime
    changed_by: str
    deleted: bool = False

    @property
    def key(self) -> str:
        """Record key of this entry."""
        return f"{self.kind}/{self.tenant_id}/{self.id}"


class Tenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who runs collections."""

    name: str


class FeeAgreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The collector's share, in percent of what is recovered of each part."""

    principal_pct: float = 0.0
    interest_pct: float = 100.0
    penalty_pct: float = 100.0


class Portfolio(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Debts of one creditor under one agreement.

    `collector_role` is first_party or third_party; `accounts` names the sender account per
    channel; `packs` the compliance packs by id; days are whole days.
    """

    creditor_name: str
    collector_role: str
    country: str
    currency: str
    locale: str
    ladder_id: str
    accounts: dict[str, str]
    packs: tuple[str, ...]
    creditor_document: str | None = None
    creditor_contact: str | None = None
    subdivision: str | None = None
    zone: str | None = None
    whatsapp_attestation: str | None = None
    allocation_order: tuple[str, ...] = ("interest", "penalty", "principal")
    fees: FeeAgreement = FeeAgreement()
    reversal_window_days: int = 10
    promise_grace_days: int = 3
    tolerance_minor: int = 0


class Button(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A button under a message: `kind` is promise, pay, human or opt_out; a title per locale."""

    kind: str
    titles: dict[str, str]


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message: text per locale with `{name}` placeholders; content class utility or marketing.

    E-mail adds `subjects` (neutral ones: whoever glances at the screen reads them) and, if wanted,
    `html`, both per locale. Where the provider keeps approved templates, `provider_name` is its
    name for this one, `provider_locales` maps our locales to its language codes, and `parameters`
    names the values in the order of its placeholders.
    """

    channel: str
    content_class: str
    texts: dict[str, str]
    tone: str = "neutral"
    subjects: dict[str, str] = {}
    html: dict[str, str] = {}
    provider_name: str | None = None
    provider_locales: dict[str, str] = {}
    parameters: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()


class SenderAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at a provider: where from, how fast, and where its secrets are (never what).

    `credentials` are references, but for public names of the account (`is_public`). `base_url`
    overrides the provider's own address (sandbox, regional hosts); `countries` and `roles` say for
    whom it may be used; `rate_per_second` is the provider's limit, `pair_rate_per_minute` its limit
    per recipient (None: the channel's own, if it has one), `day_limit` the most contacts in any 24
    hours (None: no such limit). `options` are the provider's own public settings, by the names its
    adapter documents.
    """

    channel: str
    provider: str
    sender: str
    rate_per_second: float
    credentials: dict[str, str]
    base_url: str | None = None
    countries: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("first_party", "third_party")
    options: dict[str, str] = {}
    pair_rate_per_minute: float | None = None
    day_limit: int | None = None


def is_public(credential: str) -> bool:
    """Say whether a credential of this name is no secret and may be given as it is."""
    return credential.endswith("_sid") or credential == "account"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller's key: only its SHA-256 is stored. Scopes: see `shared.http.auth`."""

    sha256: str
    scopes: tuple[str, ...]
    label: str
    expires_at: datetime | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ladder or compliance pack: its YAML text, checked when it was stored."""

    text: str


CONFIG_KINDS: dict[str, type[msgspec.Struct]] = {
    "tenant": Tenant,
    "portfolio": Portfolio,
    "template": Template,
    "account": SenderAccount,
    "api_key": ApiKey,
    "ladder": Document,
    "pack": Document,
}
