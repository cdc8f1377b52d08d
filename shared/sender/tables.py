"""The tables of one sender, as DDL: what each row means and why it is kept.

In: nothing. Out: statements for the first migration and for the partitions made while running.
Rows live in the schema of the service's role (`search_path`), so one migration serves every sender.

- `attempt`: one provider call of one contact; its key decides every race. Partitioned by the UTC
  date on which the permit ends, kept while the task could still be claimed, dropped after receipt
  retention. Only columns without an index change after the claim, so outcomes are HOT updates.
- `retry`: refusals waiting for attempt n+1. `unknown_attempt`: attempts waiting for evidence.
- `hold`: this sender's copy of the holds lane, anti-joined by the claim.
- `throttle`: one GCRA row per account and number, shared by all replicas.
- `receipt`: webhooks as they came, by day. `sweep`: how far the sweeper has looked.
"""

ATTEMPT_FILLFACTOR_PERCENT = 70  # room on the page for the outcome's and the receipts' new version

ATTEMPT = """
CREATE TABLE attempt (
    contact_id uuid NOT NULL,
    n smallint NOT NULL,
    ends_on date NOT NULL,
    debtor_id uuid NOT NULL,
    tenant_id text NOT NULL,
    account_id text NOT NULL,
    provider text NOT NULL,
    state text NOT NULL CHECK (state IN ('CLAIMED', 'ACCEPTED', 'REFUSED', 'UNKNOWN',
        'UNKNOWN_FINAL', 'CANCELLED', 'EXPIRED', 'INVALID')),
    owner uuid NOT NULL,
    tries smallint NOT NULL,
    claimed_at timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    address_digest text NOT NULL,
    frame bytea NOT NULL,
    outcome_at timestamptz,
    outcome_law timestamptz,
    provider_ref text,
    code text,
    error text,
    retryable boolean NOT NULL DEFAULT false,
    closing boolean NOT NULL DEFAULT false,
    reported smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (contact_id, n, ends_on)
) PARTITION BY RANGE (ends_on)
"""

RECEIPT = """
CREATE TABLE receipt (
    receipt_id uuid NOT NULL,
    received_on date NOT NULL,
    received_at timestamptz NOT NULL,
    tenant_id text NOT NULL,
    account_id text NOT NULL,
    provider text NOT NULL,
    contact_id uuid,
    n smallint,
    ends_on date,
    body bytea NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'unmatched', 'applied', 'late',
        'repeated', 'unreadable', 'never_matched')),
    PRIMARY KEY (receipt_id, received_on)
) PARTITION BY RANGE (received_on)
"""

SMALL_TABLES = (
    """
    CREATE TABLE hold (
        hold_id uuid PRIMARY KEY,
        tenant_id text NOT NULL,
        scope text NOT NULL,
        subject text NOT NULL,
        reason text NOT NULL,
        version integer NOT NULL,
        state text NOT NULL,
        placed_at timestamptz NOT NULL,
        until timestamptz,
        lifted_at timestamptz,
        origin text NOT NULL
    )
    """,
    "CREATE INDEX hold_subject ON hold (subject)",
    """
    CREATE TABLE retry (
        contact_id uuid PRIMARY KEY,
        due_at timestamptz NOT NULL,
        owner uuid NOT NULL,
        tenant_id text NOT NULL,
        traceparent text,
        task bytea NOT NULL
    )
    """,
    "CREATE INDEX retry_due ON retry (due_at)",
    """
    CREATE TABLE unknown_attempt (
        contact_id uuid NOT NULL,
        n smallint NOT NULL,
        ends_on date NOT NULL,
        resolve_by timestamptz NOT NULL,
        PRIMARY KEY (contact_id, n)
    )
    """,
    "CREATE INDEX unknown_attempt_due ON unknown_attempt (resolve_by)",
    "CREATE TABLE throttle (key text PRIMARY KEY, tat timestamptz NOT NULL) WITH (fillfactor = 50)",
    """
    CREATE TABLE sweep (
        one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
        claimed_through timestamptz NOT NULL
    )
    """,
    "INSERT INTO sweep (claimed_through) VALUES (platform.machine_now())",
    "CREATE INDEX attempt_claimed ON attempt (claimed_at)",
    "CREATE INDEX attempt_address ON attempt (address_digest)",
    """
    CREATE INDEX receipt_waiting ON receipt (received_at) WHERE state IN ('new', 'unmatched')
    """,
)

# GCRA over every key at once: rows locked in key order, the tightest key decides, one round trip.
# `burst` is how many permits may be out at one instant; a lease larger than it is never granted.
TAKE_PERMITS = """
CREATE FUNCTION take_permits(
    keys text[], rates double precision[], bursts integer[], wanted integer,
    OUT granted integer, OUT wait_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
    instant timestamptz;
    room double precision;
BEGIN
    PERFORM 1 FROM throttle WHERE key = ANY (keys) ORDER BY key FOR UPDATE;
    IF (SELECT count(*) FROM throttle WHERE key = ANY (keys)) < cardinality(keys) THEN
        INSERT INTO throttle (key, tat)
        SELECT missing, '-infinity' FROM unnest(keys) AS missing ORDER BY missing
        ON CONFLICT DO NOTHING;
        PERFORM 1 FROM throttle WHERE key = ANY (keys) ORDER BY key FOR UPDATE;
    END IF;
    instant := platform.machine_now();
    SELECT min(floor(r.burst - r.rate * greatest(0,
               extract(epoch FROM greatest(t.tat, instant) - instant)) + 0.000001))
      INTO room
      FROM unnest(keys, rates, bursts) AS r (key, rate, burst) JOIN throttle t USING (key);
    granted := least(wanted, greatest(0, room));
    IF granted > 0 THEN
        UPDATE throttle t
           SET tat = greatest(t.tat, instant) + make_interval(secs => granted / r.rate)
          FROM unnest(keys, rates) AS r (key, rate) WHERE t.key = r.key;
        wait_seconds := 0;
    ELSE
        SELECT max((1 - r.burst) / r.rate
               + extract(epoch FROM greatest(t.tat, instant) - instant))
          INTO wait_seconds
          FROM unnest(keys, rates, bursts) AS r (key, rate, burst) JOIN throttle t USING (key);
    END IF;
END
$$
"""
