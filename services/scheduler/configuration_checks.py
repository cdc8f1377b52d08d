"""What a configuration entry must satisfy before it is stored: its shape, and what it refers to.

In: a kind, a body as posted, and the tenant's other entries (read inside the change's own
transaction). Out: the body in canonical form, or a problem with field and remedy.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import phonenumbers

from services.scheduler.field_checks import (
    check_locale,
    check_one_of,
    check_text,
    check_within,
    wrong,
)
from services.scheduler.intake.people import is_zone
from services.scheduler.message_checks import CHANNELS, ROLES, check_account, check_template
from services.scheduler.policy.channels import check_portfolio
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.packs import load_pack
from services.scheduler.policy.rulebook import PolicyError
from services.scheduler.store import configuration as store
from shared.events.configuration import (
    CONFIG_KINDS,
    ApiKey,
    ConfigEntry,
    Document,
    Portfolio,
    SenderAccount,
    Template,
    Tenant,
)
from shared.events.currencies import MINOR_DIGITS
from shared.http.auth import PLATFORM_TENANT, SCOPES
from shared.http.problems import FieldError, Problem, from_msgspec, invalid
from shared.postgres.connection import Connection

CONFLICT = 409
NOT_FOUND = 404
PARTS = {"principal", "interest", "penalty"}
DAYS_MAX = 366  # of grace or reversal: a year is generous
DOCUMENT_CHARS_MAX = 200_000  # a ladder of a hundred steps has 20,000

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")

T = TypeVar("T", bound=msgspec.Struct)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Where an entry is to be stored."""

    conn: Connection
    tenant_id: str
    entry_id: str
    sandbox: bool

    async def body(self, kind: str, entry_id: str, shape: type[T]) -> T | None:
        """Return another entry of the same tenant, None when there is none."""
        entry = await store.newest(self.conn, kind, self.tenant_id, entry_id)
        if entry is None or entry.deleted:
            return None
        return msgspec.json.decode(entry.body, type=shape)


async def check_entry(
    conn: Connection, *, kind: str, tenant_id: str, entry_id: str, body: bytes, sandbox: bool
) -> msgspec.Raw:
    """Return the body in canonical form; raise the problem that says what to mend."""
    shape = CONFIG_KINDS.get(kind)
    if shape is None:
        detail = f"There is no such kind; use one of {', '.join(sorted(CONFIG_KINDS))}."
        raise Problem(NOT_FOUND, "Unknown kind", detail, "unknown-kind")
    if not _ID.fullmatch(entry_id) or (
        tenant_id != PLATFORM_TENANT and not _ID.fullmatch(tenant_id)
    ):
        raise wrong("id", "not an id", "use up to 100 letters, digits, and any of _ . : -")
    try:
        value = msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise from_msgspec(error) from None
    context = Context(conn=conn, tenant_id=tenant_id, entry_id=entry_id, sandbox=sandbox)
    if kind not in ("tenant", "api_key"):
        await _check_tenant(conn, tenant_id)
    await _CHECKS[kind](value, context)
    return msgspec.Raw(msgspec.json.encode(value))


async def check_delete(conn: Connection, entry: ConfigEntry) -> None:
    """Refuse to delete what a portfolio still names."""
    if entry.kind not in ("ladder", "pack", "account"):
        return
    for other in await store.of_kind(conn, "portfolio", entry.tenant_id):
        portfolio = msgspec.json.decode(other.body, type=Portfolio)
        named = {
            "ladder": (portfolio.ladder_id,),
            "pack": portfolio.packs,
            "account": tuple(portfolio.accounts.values()),
        }
        if entry.id in named[entry.kind]:
            detail = f"The portfolio {other.id} uses it; change that portfolio first."
            raise Problem(CONFLICT, "The entry is in use", detail, "entry-in-use")


async def _check_tenant(conn: Connection, tenant_id: str) -> None:
    entry = await store.newest(conn, "tenant", tenant_id, tenant_id)
    if entry is None or entry.deleted:
        raise wrong("tenant", "no such tenant", "create the tenant first: PUT /v1/config/tenant/…")


async def _tenant(body: Tenant, context: Context) -> None:
    if context.tenant_id != context.entry_id:
        raise wrong("id", "not the tenant's id", "a tenant's entry is stored under its own id")
    if ":" in context.entry_id:  # `portfolio:a:b:c` would be a's portfolio and that of `a:b`
        raise wrong("id", "a tenant's id with a colon", "use letters, digits, and any of _ . -")
    check_text(body.name, "name", 200)


async def _api_key(body: ApiKey, context: Context) -> None:
    del context
    check_text(body.label, "label", 100)
    if not body.scopes or not set(body.scopes) <= set(SCOPES):
        raise wrong("scopes", "not known scopes", f"use some of {', '.join(SCOPES)}")


async def _portfolio(body: Portfolio, context: Context) -> None:
    check_text(body.creditor_name, "creditor_name", 200)
    check_one_of(body.collector_role, ROLES, "collector_role")
    if body.country not in phonenumbers.SUPPORTED_REGIONS:
        raise wrong("country", "not a country", "send an ISO 3166 code, e.g. BR or US")
    if body.currency not in MINOR_DIGITS:
        raise wrong("currency", "not a currency in use", "send an ISO 4217 code, e.g. BRL")
    check_locale(body.locale, "locale")
    if body.zone is not None and not is_zone(body.zone):
        raise wrong("zone", "not a time zone", "send an IANA name, e.g. America/Sao_Paulo")
    if set(body.allocation_order) != PARTS or len(body.allocation_order) != len(PARTS):
        raise wrong("allocation_order", "not the three parts", "principal, interest, penalty")
    check_within(body.reversal_window_days, DAYS_MAX, "reversal_window_days")
    check_within(body.promise_grace_days, DAYS_MAX, "promise_grace_days")
    check_within(body.tolerance_minor, 10**9, "tolerance_minor")
    for name in ("principal_pct", "interest_pct", "penalty_pct"):
        check_within(getattr(body.fees, name), 100, f"fees.{name}")
    await _portfolio_references(body, context)


async def _portfolio_references(body: Portfolio, context: Context) -> None:
    if await context.body("ladder", body.ladder_id, Document) is None:
        raise wrong("ladder_id", "no such ladder", "store the ladder first")
    for number, pack_id in enumerate(body.packs):
        if await context.body("pack", pack_id, Document) is None:
            raise wrong(f"packs[{number}]", "no such pack", "store the pack first")
    accounts: dict[str, SenderAccount] = {}
    for channel, account_id in body.accounts.items():
        check_one_of(channel, CHANNELS, "accounts")
        account = await context.body("account", account_id, SenderAccount)
        if account is None or account.channel != channel:
            raise wrong(
                f"accounts.{channel}", "no such account of this channel", "store the account first"
            )
        accounts[account_id] = account
    # What only leaves a step undone is a warning in the answer (`portfolio_warnings`).
    # Providers' terms hold in a sandbox too: what is tried out there is what will run.
    if findings := check_portfolio(body, accounts):
        raise invalid(
            [FieldError(field=f.field, message=f.message, remedy=f.remedy) for f in findings]
        )


async def _template(body: Template, context: Context) -> None:
    del context
    check_template(body)


async def _account(body: SenderAccount, context: Context) -> None:
    check_account(body, sandbox=context.sandbox)


async def _ladder(body: Document, context: Context) -> None:
    ladder = await _read(load_ladder, body)
    for step in ladder.steps:
        for channel, template_id in step.templates.items():
            template = await context.body("template", template_id, Template)
            if template is None or template.channel != channel:
                raise wrong(
                    f"text: steps.{step.key}.templates.{channel}",
                    "no such template of this channel",
                    "store the template first",
                )


async def _pack(body: Document, context: Context) -> None:
    del context
    await _read(load_pack, body)


async def _read(load: Callable[[str], Any], body: Document) -> Any:
    check_text(body.text, "text", DOCUMENT_CHARS_MAX)
    try:
        # Seconds for the largest text: in the loop they would stall the holds of every tenant.
        return await asyncio.to_thread(load, body.text)
    except PolicyError as error:
        field = f"text: line {error.line}: {error.field}"
        raise wrong(field, error.message, error.remedy) from None


_CHECKS: dict[str, Callable[[Any, Context], Awaitable[None]]] = {
    "tenant": _tenant,
    "api_key": _api_key,
    "portfolio": _portfolio,
    "template": _template,
    "account": _account,
    "ladder": _ladder,
    "pack": _pack,
}
