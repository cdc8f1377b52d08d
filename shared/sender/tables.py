"""The tables of one sender, as DDL: what each row means and why it is kept.

In: nothing. Out: statements for the first migration and for the partitions made while running.
Rows live in the schema of the service's role (`search_path`), so one migration serves every sender.

- `attempt`: one provider call of one contact; its key decides every race. Partitioned by the UTC
  date on which the permit ends, kept while the task could still be claimed, dropped after receipt
  retention. Only columns without an index change after the claim, so outcomes are HOT updates.
- `retry`: refusals waiting for attempt n+1. `unknown_attempt`: attempts waiting for evidence.
- `hold`: this sender's copy of the holds lane, anti-joined by the claim.
- `throttle`: one GCRA row per account and number, shared by all replicas.
- `pair_rest`: one person at one sender of ours, and until when they are left in peace (pair rate).
- `day_use`: contacts of an account with a day limit, by five minutes of law time.
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

# Instead of the index above: what a process left behind in order, what fits nothing by account, so
# that no account's pile stands before another's. Ordinary receipts still cost one small index.
RECEIPTS_BY_ACCOUNT = (
    "CREATE INDEX receipt_left ON receipt (received_at) WHERE state = 'new'",
    """
    CREATE INDEX receipt_unmatched ON receipt (tenant_id, account_id, received_at, receipt_id)
        WHERE state = 'unmatched'
    """,
    "DROP INDEX receipt_waiting",
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

LIMITS = (
    """
    CREATE TABLE pair_rest (
        key text NOT NULL,
        address_digest text NOT NULL,
        free_at timestamptz NOT NULL,
        PRIMARY KEY (key, address_digest)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE day_use (
        key text NOT NULL,
        began_at timestamptz NOT NULL,
        calls integer NOT NULL,
        PRIMARY KEY (key, began_at)
    ) WITH (fillfactor = 50)
    """,
    # The most contacts in any 24 hours: one account after the other, under its lock, so that the
    # sum sees what other replicas have counted. Five minutes leave the sum when all of them are a
    # day old. The wait is until what is in the way of the rest has left.
    """
    CREATE FUNCTION take_day_use(keys text[], limits integer[], wanted integer[])
    RETURNS TABLE (
        key text, granted integer, began_at timestamptz, wait_seconds double precision
    ) LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE
        law timestamptz;
        since timestamptz;
        used bigint;
    BEGIN
        FOR i IN 1 .. cardinality(keys) LOOP
            PERFORM pg_advisory_xact_lock(hashtextextended(keys[i], 0));
            law := platform.law_now();
            since := law - interval '24 hours 5 minutes';
            key := keys[i];
            began_at := date_bin('5 minutes', law, 'epoch');
            SELECT coalesce(sum(u.calls), 0) INTO used FROM day_use u
             WHERE u.key = keys[i] AND u.began_at > since;
            granted := least(wanted[i], greatest(0, limits[i] - used));
            wait_seconds := 0;
            IF granted > 0 THEN
                INSERT INTO day_use AS known (key, began_at, calls)
                VALUES (keys[i], date_bin('5 minutes', law, 'epoch'), granted)
                ON CONFLICT (key, began_at) DO UPDATE SET calls = known.calls + excluded.calls;
            END IF;
            IF granted < wanted[i] THEN
                used := used + granted;
                SELECT coalesce(extract(epoch FROM min(f.began_at) - since), 0) INTO wait_seconds
                  FROM (SELECT u.began_at, sum(u.calls) OVER (ORDER BY u.began_at) AS freed
                          FROM day_use u WHERE u.key = keys[i] AND u.began_at > since) f
                 WHERE f.freed >= least(used, used + wanted[i] - granted - limits[i]);
            END IF;
            RETURN NEXT;
        END LOOP;
    END
    $$
    """,
)
