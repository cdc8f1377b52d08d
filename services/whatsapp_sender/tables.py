"""What WhatsApp alone must remember of people, as DDL. Addresses appear as keyed digests only.

In: nothing. Out: statements for the migration that follows the runtime's own.

- `acquaintance`: one person at one number of ours: when they last wrote (the service window), when
  we last began a conversation (the messaging tier). Law time: the provider counts these hours in
  the days in which its people live. Rows that say nothing any more are deleted. `written_at` is
  older versions' (the pair rate, now the runtime's `pair_rest`) and goes with a later release.
- `address_alias`: other names of a person (`wa_id`, business-scoped user ids), each leading to the
  address we write to: a reply may come under any of them.
"""

ACQUAINTANCE = """
CREATE TABLE acquaintance (
    tenant_id text NOT NULL,
    number_id text NOT NULL,
    address_digest text NOT NULL,
    business_id text NOT NULL DEFAULT '',
    heard_at timestamptz,
    written_at timestamptz,
    begun_at timestamptz,
    PRIMARY KEY (tenant_id, number_id, address_digest)
) WITH (fillfactor = 70)
"""
BEGUN = """
CREATE INDEX acquaintance_begun ON acquaintance (tenant_id, business_id, begun_at)
    WHERE begun_at IS NOT NULL
"""
ALIAS = """
CREATE TABLE address_alias (
    tenant_id text NOT NULL,
    alias_digest text NOT NULL,
    address_digest text NOT NULL,
    seen_on date NOT NULL,
    PRIMARY KEY (tenant_id, alias_digest, address_digest)
)
"""
STATEMENTS = (ACQUAINTANCE, BEGUN, ALIAS)
