"""An entry as people read it: what happened, in a few words, and why.

In: a stored entry and its opened body. Out: a `Line`: type and ids, a phrase, a detail, the reasons
with rule and version, the rendered text if there is one. Pure; words are English, the vocabulary of
the API; the rendered text is in the debtor's language.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.contact_ledger.store.history import Entry
from shared.events.states import ContactState

SEALED_FIELD = "text_sealed"
ABSORBED = "debtor.absorbed.v1"
# Currencies whose smallest unit is the unit itself, as far as collectors meet them.
WHOLE_CURRENCIES = frozenset({"CLP", "COP", "JPY", "KRW", "PYG", "VND"})
MINOR_PER_MAJOR = 100

CHANNEL_NAMES = {"sms": "SMS", "email": "e-mail", "whatsapp": "WhatsApp", "handoff": "hand-off"}
PHRASES = {
    "debt.registered.v1": "debt registered",
    "debt.updated.v1": "debt updated",
    "debt.payment_received.v1": "payment received",
    "debt.payment_reversed.v1": "payment reversed",
    "debt.cancelled.v1": "debt withdrawn",
    "debt.disputed.v1": "debt disputed",
    "debt.dispute_resolved.v1": "dispute resolved",
    "debt.promise_made.v1": "promise made",
    "debt.promise_cancelled.v1": "promise withdrawn",
    "debt.promise_kept.v1": "promise kept",
    "debt.promise_broken.v1": "promise broken",
    "debt.agreement_made.v1": "agreement made",
    "debt.stage_advanced.v1": "stage advanced",
    "debtor.updated.v1": "debtor's details updated",
    "debtor.merged.v1": "debtors merged",
    "debtor.absorbed.v1": "debts of a merged debtor taken over",
    "debtor.consent_changed.v1": "consent changed",
    "debtor.hold_placed.v1": "hold requested",
    "debtor.hold_lifted.v1": "hold lifted",
    "debtor.erasure_requested.v1": "erasure requested",
    "contact.recorded.v1": "contact reported",
    "contact.attempt_refused.v1": "{channel} refused by provider",
    "contact.unknown.v1": "{channel} outcome unknown",
    "contact.unknown_final.v1": "{channel} outcome stays unknown",
    "contact.opted_out.v1": "debtor opted out",
    "contact.replied.v1": "debtor replied",
    "contact.complained.v1": "debtor complained",
    "work_item.opened.v1": "work item opened",
    "work_item.closed.v1": "work item closed",
    "hold.changed.v1": "hold",
}


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a timeline. `at` is law time; `erased`: the body can never be read again.

    `reasons` are objects with `rule`, `version`, `verdict` and `inputs`; what is empty is left out.
    """

    event_id: UUID
    type: str
    at: datetime
    machine_at: datetime
    recorded_at: datetime
    source: str
    what: str
    detail: str = ""
    channel: str | None = None
    state: str | None = None
    contact_id: UUID | None = None
    debtor_id: UUID | None = None
    debt_id: UUID | None = None
    portfolio_id: str | None = None
    reasons: list[dict[str, Any]] = []
    text: str | None = None
    data: dict[str, Any] = {}
    erased: bool = False


def line(entry: Entry, body: bytes | None, open_text: Callable[[str, str], str | None]) -> Line:
    """Return `entry` as a line; `open_text(sealed, context)` opens a rendered text."""
    data: dict[str, Any] = msgspec.json.decode(body) if body is not None else {}
    sealed = data.pop(SEALED_FIELD, None)
    if entry.type == ABSORBED:
        data.pop("state", None)  # the scheduler's own document: every fact in it has its entry
    text = open_text(sealed, str(entry.contact_id)) if sealed else None
    return Line(
        event_id=entry.event_id,
        type=entry.type,
        at=entry.event_time,
        machine_at=entry.machine_at,
        recorded_at=entry.recorded_at,
        source=entry.source,
        what=phrase(entry.type, entry.channel),
        detail=detail(entry.type, data),
        channel=entry.channel,
        state=None if entry.state is None else ContactState(entry.state).name.lower(),
        contact_id=entry.contact_id,
        debtor_id=entry.debtor_id,
        debt_id=entry.debt_id,
        portfolio_id=entry.portfolio_id,
        reasons=data.get("reasons") or [],
        text=text,
        data=data,
        erased=body is None,
    )


def phrase(type_: str, channel: str | None) -> str:
    """Return what happened, in a few words."""
    name = CHANNEL_NAMES.get(channel or "", channel or "contact")
    known = PHRASES.get(type_)
    if known is not None:
        return known.format(channel=name)
    return f"{name} {type_.split('.')[1].replace('_', ' ')}"


def detail(type_: str, data: dict[str, Any]) -> str:
    """Return the one thing that a reader wants to know beside it."""
    reasons = data.get("reasons") or []
    parts = [
        _amount(data),
        _stated(data, "due_date", "due "),
        _stated(data, "promise_date", "for "),
        _stated(data, "intent"),
        _stated(data, "outcome"),
        _stated(data, "error"),
        _stated(data, "until", "until "),
        _stated(data, "kind") if type_.startswith("work_item.") else "",
        f"{data.get('reason')} {data.get('state')}" if type_ == "hold.changed.v1" else "",
        f"step {data['step_key']}" if data.get("step_key") else "",
        f"stage {data['stage']}" if type_ == "debt.stage_advanced.v1" else "",
        ", ".join(f"{r['rule']} {r.get('verdict', '')}".strip() for r in reasons),
    ]
    return "; ".join(part for part in parts if part)


def _stated(data: dict[str, Any], name: str, before: str = "") -> str:
    value = data.get(name)
    return f"{before}{value}" if value else ""


def _amount(data: dict[str, Any]) -> str:
    amount = data.get("amount")
    if amount is None:
        amount = data.get("promise_amount")
    if amount is None:
        parts = [data.get(name) for name in ("principal", "interest", "penalty")]
        amount = sum(part for part in parts if part) or None
    if amount is None:
        return ""
    currency = data.get("currency") or ""
    if currency in WHOLE_CURRENCIES:
        return f"{amount:,} {currency}".strip()
    major, minor = divmod(abs(amount), MINOR_PER_MAJOR)
    return f"{'-' if amount < 0 else ''}{major:,}.{minor:02} {currency}".strip()
