"""Count what the KPIs divide: one query over the projections for a period and a set of accounts.

In: a tenant, a period [from, to) in law time, maybe a portfolio, and per portfolio its zone and
grace. Out: `kpis.Counts`, and the breakdowns by channel, outcome and reason. Definitions are those
of `services.contact_ledger.kpis`.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.contact_ledger.kpis import GRACE_DAYS, Counts
from shared.postgres.connection import Connection

DEFAULT_ZONE = "UTC"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a portfolio reckons: the zone of its dates, and days of grace for promises."""

    portfolio_id: str
    zone: str = DEFAULT_ZONE
    grace_days: int = GRACE_DAYS


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: [starts, ends) in law time; `portfolio_id` None means all."""

    tenant_id: str
    portfolio_id: str | None
    starts: datetime
    ends: datetime


# Accounts assigned at any time in the period. An account that left and came back counts as one.
_ACCOUNTS = """
    account_set AS MATERIALIZED (
        SELECT debt_id, debtor_id, portfolio_id, promises_withdrawn_at FROM account
        WHERE tenant_id = $1 AND ($2::text IS NULL OR portfolio_id = $2)
          AND entered_at < $4
          AND (left_at IS NULL OR left_at < reentered_at OR left_at > $3)
    )
"""

# Each predicate stands alone so that the BRIN index on the moments can be used.
_REACH = """
    touched AS MATERIALIZED (
        SELECT contact_id, debtor_id, debt_ids,
               COALESCE(accepted_at >= $3 AND accepted_at < $4, false) AS attempted,
               COALESCE(delivered_at >= $3 AND delivered_at < $4, false) AS contacted,
               COALESCE(right_party_at >= $3 AND right_party_at < $4, false) AS right_party
        FROM contact
        WHERE tenant_id = $1
          AND ((accepted_at >= $3 AND accepted_at < $4)
            OR (delivered_at >= $3 AND delivered_at < $4)
            OR (right_party_at >= $3 AND right_party_at < $4))
    ), named AS MATERIALIZED (
        SELECT t.contact_id, t.attempted, t.contacted, t.right_party, of_contact.debt_id
        FROM touched t CROSS JOIN unnest(t.debt_ids) AS of_contact (debt_id)
    ), reach AS (
        SELECT n.contact_id, n.attempted, n.contacted, n.right_party, n.debt_id
        FROM named n JOIN account_set a ON a.debt_id = n.debt_id
        UNION ALL
        -- A call that names only the person is about all that the person owes.
        SELECT t.contact_id, t.attempted, t.contacted, t.right_party, a.debt_id
        FROM touched t JOIN account_set a ON a.debtor_id = t.debtor_id
        WHERE t.debt_ids = '{}'
    )
"""

_PROMISES = """
    terms AS (
        SELECT * FROM unnest($5::text[], $6::text[], $7::int[])
                   AS given (portfolio_id, zone, grace_days)
    ), promised_debt AS MATERIALIZED (
        SELECT p.promise_id, p.debt_ids, p.amount, p.currency, p.due_date, p.made_at,
               p.kept_debt_ids, p.withdrawn_at, of_promise.debt_id
        FROM promise p CROSS JOIN unnest(p.debt_ids) AS of_promise (debt_id)
        WHERE p.tenant_id = $1
          AND ((p.made_at >= $3 AND p.made_at < $4)
            -- A date is an instant only in its zone: two days of margin, then exactly below.
            OR (p.made_at IS NOT NULL
                AND p.due_date BETWEEN $3::date - 2 AND $4::date + 2))
    ), candidate AS (
        SELECT DISTINCT ON (p.promise_id)
               p.promise_id, p.debt_ids, p.amount, p.currency, p.due_date, p.made_at,
               p.kept_debt_ids,
               LEAST(p.withdrawn_at,
                     CASE WHEN a.promises_withdrawn_at >= p.made_at THEN a.promises_withdrawn_at END
               ) AS withdrawn_at,
               COALESCE(t.zone, $8) AS zone, COALESCE(t.grace_days, $9) AS grace_days
        FROM promised_debt p
        JOIN account_set a ON a.debt_id = p.debt_id
        LEFT JOIN terms t ON t.portfolio_id = a.portfolio_id
        ORDER BY p.promise_id, a.debt_id
    ), judged AS (
        SELECT c.made_at >= $3 AND c.made_at < $4 AS made,
               c.due_date + c.grace_days < (platform.law_now() AT TIME ZONE c.zone)::date AS over,
               (c.due_date::timestamp AT TIME ZONE c.zone) >= $3
               AND (c.due_date::timestamp AT TIME ZONE c.zone) < $4
               AND COALESCE((c.withdrawn_at AT TIME ZONE c.zone)::date > c.due_date, true) AS due,
               CASE WHEN c.amount IS NULL THEN c.debt_ids <@ c.kept_debt_ids
                    ELSE COALESCE(paid.amount, 0) >= c.amount END AS kept
        FROM candidate c
        LEFT JOIN LATERAL (
            SELECT sum(y.amount) AS amount FROM payment y
            WHERE y.tenant_id = $1 AND y.debt_id = ANY (c.debt_ids)
              AND y.reversed_at IS NULL
              AND (c.currency IS NULL OR y.currency = c.currency)
              AND (y.paid_at AT TIME ZONE c.zone)::date
                  BETWEEN (c.made_at AT TIME ZONE c.zone)::date AND c.due_date + c.grace_days
        ) AS paid ON c.amount IS NOT NULL
    )
"""

COUNT = f"""
    WITH {_ACCOUNTS}, {_REACH}, {_PROMISES},
    reached AS (
        SELECT count(DISTINCT debt_id) FILTER (WHERE attempted) AS accounts_attempted,
               count(DISTINCT debt_id) FILTER (WHERE contacted) AS accounts_contacted,
               count(DISTINCT contact_id) FILTER (WHERE attempted) AS attempts,
               count(DISTINCT contact_id) FILTER (WHERE contacted) AS contacts,
               count(DISTINCT contact_id) FILTER (WHERE right_party) AS right_party_contacts
        FROM reach
    ), promised AS (
        SELECT count(*) FILTER (WHERE made) AS promises,
               count(*) FILTER (WHERE due) AS promises_due,
               count(*) FILTER (WHERE due AND kept) AS promises_kept,
               count(*) FILTER (WHERE due AND over AND NOT kept) AS promises_broken
        FROM judged
    )
    SELECT (SELECT count(*) FROM account_set) AS accounts_assigned, reached.*, promised.*
    FROM reached, promised
"""  # noqa: S608 - constant parts


class ChannelOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts planned for days of the period, by channel and present state."""

    channel: str
    state: int
    contacts: int


class ReasonCount(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of the period not to contact (now), by rule. One decision may name several."""

    type: str
    rule: str
    decisions: int


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Money that came in; `amount` in minor units."""

    currency: str
    payments: int
    amount: int


async def count(conn: Connection, period: Period, terms: Sequence[Terms]) -> Counts:
    """Return the counts of `period`."""
    async with conn.transaction():
        # Sets made by a query have no statistics: guessed at a few rows, they would be joined by
        # looking through one for each row of the other (19 s for 20,000 debts, measured). Arrays
        # are taken apart in sets of their own for the same reason.
        await conn.execute("SET LOCAL enable_nestloop = off")
        row = await conn.fetchrow(
            COUNT,
            period.tenant_id,
            period.portfolio_id,
            period.starts,
            period.ends,
            [each.portfolio_id for each in terms],
            [each.zone for each in terms],
            [each.grace_days for each in terms],
            DEFAULT_ZONE,
            GRACE_DAYS,
        )
    return Counts() if row is None else msgspec.convert(dict(row.items()), Counts)


async def payments(conn: Connection, period: Period) -> list[Received]:
    """Return what was paid in the period on its accounts; payments that bounced left out."""
    rows = await conn.fetch(
        f"""
        WITH {_ACCOUNTS}
        SELECT y.currency, count(*) AS payments, sum(y.amount)::bigint AS amount
        FROM payment y JOIN account_set a USING (debt_id)
        WHERE y.tenant_id = $1 AND y.paid_at >= $3 AND y.paid_at < $4 AND y.reversed_at IS NULL
        GROUP BY y.currency ORDER BY y.currency
        """,  # noqa: S608 - constant parts
        period.tenant_id,
        period.portfolio_id,
        period.starts,
        period.ends,
    )
    return [msgspec.convert(dict(row.items()), Received) for row in rows]


async def outcomes(conn: Connection, period: Period) -> list[ChannelOutcome]:
    """Return what became of the contacts of the period, by channel."""
    rows = await conn.fetch(
        """
        SELECT COALESCE(channel, 'unknown') AS channel, state, count(*) AS contacts
        FROM contact
        WHERE tenant_id = $1 AND ($2::text IS NULL OR portfolio_id = $2)
          AND day >= ($3 AT TIME ZONE 'UTC')::date AND day < ($4 AT TIME ZONE 'UTC')
          AND state IS NOT NULL AND origin = 'platform'
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        period.tenant_id,
        period.portfolio_id,
        period.starts,
        period.ends,
    )
    return [msgspec.convert(dict(row.items()), ChannelOutcome) for row in rows]


async def reasons(conn: Connection, period: Period) -> list[ReasonCount]:
    """Return how often each rule withheld or deferred a contact in the period."""
    rows = await conn.fetch(
        """
        SELECT type, rule, count(*) AS decisions
        FROM (SELECT type, event_id, unnest(rules) AS rule FROM entry
              WHERE tenant_id = $1 AND ($2::text IS NULL OR portfolio_id = $2)
                AND type IN ('contact.withheld.v1', 'contact.deferred.v1')
                AND event_time >= $3 AND event_time < $4) AS refusal
        GROUP BY type, rule ORDER BY type, decisions DESC, rule
        """,
        period.tenant_id,
        period.portfolio_id,
        period.starts,
        period.ends,
    )
    return [msgspec.convert(dict(row.items()), ReasonCount) for row in rows]
