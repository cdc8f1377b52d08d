"""Merge a batch of changes into the projections, one statement per table.

In: `Changes` of facts that were really added. Out: merged rows, and alarms for contacts whose facts
contradict the promises: accepted after a certain non-send, or accepted twice.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from services.contact_ledger.changes import (
    AccountChange,
    Changes,
    ContactChange,
    Key,
    PaymentChange,
    PromiseChange,
    ReplyChange,
)
from services.contact_ledger.store.merging import (
    ANY,
    EARLIEST,
    FIRST,
    LATEST,
    UNION,
    Merge,
)
from shared.events.states import CERTAIN_NON_SEND, ContactState
from shared.postgres.connection import Connection

_FIRST_NON_SEND = int(min(CERTAIN_NON_SEND))
_LAST_NON_SEND = int(max(CERTAIN_NON_SEND))
_RANK = (
    f"(CASE WHEN {{0}} BETWEEN {_FIRST_NON_SEND} AND {_LAST_NON_SEND} "
    f"THEN {_FIRST_NON_SEND} ELSE {{0}} END)"
)
# The law of motion of `shared.events.states.rises`, as SQL; a state not known yet always yields.
RISES = f"{_RANK.format('excluded.state')} > COALESCE({_RANK.format('kept.state')}, -1)"
WITH_STATE = f"CASE WHEN {RISES} THEN {{new}} ELSE {{old}} END"

_INSTANTS_EARLIEST = (
    "planned_at",
    "dispatched_at",
    "accepted_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "replied_at",
    "right_party_at",
    "opted_out_at",
    "complained_at",
)
_FIRST_KNOWN = (
    "items",
    "debtor_id",
    "portfolio_id",
    "channel",
    "step_key",
    "stage",
    "account_id",
    "template",
    "segments",
)
CONTACT = Merge(
    table="contact",
    shape=ContactChange,
    key=("tenant_id", "contact_id"),
    rules={
        **dict.fromkeys(_FIRST_KNOWN, FIRST),
        **dict.fromkeys(_INSTANTS_EARLIEST, EARLIEST),
        **dict.fromkeys(("local_day", "due_at", "not_after", "resolve_by"), LATEST),
        **dict.fromkeys(("manual", "non_send"), ANY),
        **dict.fromkeys(("debt_ids", "attempt_ids", "accepted_ids"), UNION),
        **dict.fromkeys(("state", "state_at", "state_rules", "state_code"), WITH_STATE),
    },
)
ACCOUNT = Merge(
    table="account",
    shape=AccountChange,
    key=("tenant_id", "debt_id"),
    rules={
        "portfolio_id": FIRST,
        "currency": FIRST,
        "entered_at": EARLIEST,
        **dict.fromkeys(("stage", "reentered_at", "left_at", "promises_withdrawn_at"), LATEST),
    },
)
PROMISE = Merge(
    table="promise",
    shape=PromiseChange,
    key=("tenant_id", "promise_id"),
    rules={
        **dict.fromkeys(("debtor_id", "amount", "currency", "due_date", "channel"), FIRST),
        **dict.fromkeys(("made_at", "withdrawn_at"), EARLIEST),
        **dict.fromkeys(("debt_ids", "kept_debt_ids", "broken_debt_ids"), UNION),
    },
)
PAYMENT = Merge(
    table="payment",
    shape=PaymentChange,
    key=("tenant_id", "payment_id"),
    rules={
        **dict.fromkeys(("debt_id", "debtor_id", "amount", "currency", "paid_at"), FIRST),
        "reversed_at": EARLIEST,
    },
)
REPLY = Merge(
    table="reply",
    shape=ReplyChange,
    key=("tenant_id", "reply_id"),
    rules={"right_party": ANY, "opted_out": ANY},
)

_UPSERT_CONTACTS = f"""
    WITH merged AS (
        {CONTACT.upsert()}
        RETURNING tenant_id, contact_id,
                  non_send AND state >= {int(ContactState.ACCEPTED)} AS after_non_send,
                  cardinality(accepted_ids) > 1 AS twice
    )
    INSERT INTO alarm (tenant_id, contact_id, kind)
    SELECT tenant_id, contact_id, 'accepted_after_non_send' FROM merged WHERE after_non_send
    UNION ALL
    SELECT tenant_id, contact_id, 'accepted_twice' FROM merged WHERE twice
    ON CONFLICT DO NOTHING
    RETURNING kind, contact_id
"""  # noqa: S608 - constant names
_UPSERT_ACCOUNTS = ACCOUNT.upsert()
_UPSERT_PROMISES = PROMISE.upsert()
_UPSERT_PAYMENTS = PAYMENT.upsert()
_UPSERT_REPLIES = REPLY.upsert()


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one contact that contradict each other; raised once per kind."""

    kind: str
    contact_id: UUID


async def apply(conn: Connection, changes: Changes) -> list[Alarm]:
    """Merge `changes`; return the alarms that are new."""
    await _upsert(conn, _UPSERT_ACCOUNTS, changes.accounts)
    await _upsert(conn, _UPSERT_PAYMENTS, changes.payments)
    await _upsert(conn, _UPSERT_REPLIES, changes.replies)
    if changes.merges:
        await _merge_debtors(conn, changes)
    await _upsert(conn, _UPSERT_PROMISES, changes.promises)
    if not changes.contacts:
        return []
    rows = await conn.fetch(_UPSERT_CONTACTS, _json(changes.contacts))
    return [Alarm(kind=row["kind"], contact_id=row["contact_id"]) for row in rows]


async def _upsert(conn: Connection, statement: str, changes: Mapping[Key, Any]) -> None:
    if changes:
        await conn.execute(statement, _json(changes))


def _json(changes: Mapping[Key, Any]) -> str:
    return msgspec.json.encode(list(changes.values())).decode()


async def _merge_debtors(conn: Connection, changes: Changes) -> None:
    """Remember who became whom, and move the accounts."""
    pairs = {(m.tenant_id, m.merged_debtor_id): m.debtor_id for m in changes.merges}
    arrays = (
        [tenant_id for tenant_id, _ in pairs],
        [merged for _, merged in pairs],
        list(pairs.values()),
    )
    await conn.execute(
        """
        INSERT INTO debtor_merge (tenant_id, merged_debtor_id, debtor_id)
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[])
        ON CONFLICT DO NOTHING
        """,
        *arrays,
    )
    await conn.execute(
        """
        UPDATE account a SET debtor_id = m.debtor_id
        FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS m (tenant_id, merged, debtor_id)
        WHERE a.tenant_id = m.tenant_id AND a.debtor_id = m.merged
        """,
        *arrays,
    )
