"""Kafka and PostgreSQL, as the services see them: no exporter is needed to tell what hurts.

In: metrics of all services. Out: one dashboard.
"""

from deploy.observability.panels import Dashboard, Panel, Row
from deploy.observability.queries import (
    in_a_day,
    in_an_hour,
    once,
    per_second,
    quantile,
    ratio,
    total,
)

# Every service sees the same counters of the database: taken once.
_BLOCKS = "sum(max by (found) (rate(regua_postgres_blocks_total[$__rate_interval])))"
_FOUND_IN_MEMORY = _BLOCKS.replace("_total", '_total{found="memory"}')

_KAFKA = Row(
    "Kafka",
    (
        Panel(
            title="Published",
            meaning="Records acknowledged by all replicas, by topic.",
            queries=((per_second("regua_kafka_published_records_total", "topic"), "{{topic}}"),),
            unit="cps",
        ),
        Panel(
            title="Read",
            meaning="Records read by consumer groups, by service and topic.",
            queries=(
                (
                    per_second("regua_kafka_fetched_records_total", "job, topic"),
                    "{{job}} {{topic}}",
                ),
            ),
            unit="cps",
        ),
        Panel(
            title="Behind",
            meaning="Records not worked through, by service and topic.",
            queries=((once("regua_kafka_lag_records", "job, topic"), "{{job}} {{topic}}"),),
        ),
        Panel(
            title="Time of a publication",
            meaning="99th percentile by service: until all replicas had the batch.",
            queries=((quantile(0.99, "regua_kafka_publish_duration_seconds", "job"), "{{job}}"),),
            unit="s",
        ),
        Panel(
            title="Failures",
            meaning="Batches not acknowledged in time, within an hour; they go out again.",
            queries=(
                (
                    in_an_hour("regua_kafka_publish_failures_total", "job"),
                    "{{job}}",
                ),
            ),
        ),
        Panel(
            title="Assignments, dead letters, lost logs",
            meaning="Within 24 hours.",
            queries=(
                (in_a_day("regua_kafka_assignments_total", "group"), "assigned {{group}}"),
                (in_a_day("regua_dead_letters_total", "topic"), "dead letters {{topic}}"),
                (in_a_day("regua_kafka_log_losses_total", "job"), "log lost {{job}}"),
            ),
            kind="bargauge",
        ),
    ),
)
_OUTBOXES = Row(
    "Outboxes",
    (
        Panel(
            title="Unpublished rows",
            meaning="Committed, and not yet on Kafka, by service.",
            queries=(
                (
                    once("regua_outbox_unpublished_rows", "job, outbox"),
                    "{{job}} {{outbox}}",
                ),
            ),
            width=12,
        ),
        Panel(
            title="Oldest unpublished row",
            meaning="By service; holds should never wait for a second.",
            queries=((once("regua_outbox_age_seconds", "job, outbox"), "{{job}} {{outbox}}"),),
            unit="s",
            width=12,
        ),
    ),
)
_POSTGRES = Row(
    "PostgreSQL",
    (
        Panel(
            title="Connections",
            meaning="Of everybody, and the most that the server allows.",
            queries=(
                (once("regua_postgres_connections"), "open"),
                (once("regua_postgres_max_connections"), "most"),
            ),
        ),
        Panel(
            title="Connections in use",
            meaning="Lent out of the pools, by service.",
            queries=((total("regua_postgres_pool_in_use_connections", "job"), "{{job}}"),),
        ),
        Panel(
            title="Oldest transaction",
            meaning="By service: relays and vacuum wait for it.",
            queries=((once("regua_postgres_oldest_transaction_seconds", "job"), "{{job}}"),),
            unit="s",
        ),
        Panel(
            title="Transactions",
            meaning="Commits, rollbacks and deadlocks a second.",
            queries=(
                (
                    "max by (end) (rate(regua_postgres_transactions_total[$__rate_interval]))",
                    "{{end}}",
                ),
                ("max(rate(regua_postgres_deadlocks_total[$__rate_interval]))", "deadlock"),
            ),
            unit="cps",
        ),
        Panel(
            title="Found in memory",
            meaning="Share of blocks that were not read from disk.",
            queries=(
                (
                    ratio(_FOUND_IN_MEMORY, _BLOCKS),
                    "share",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            title="Size",
            meaning="Bytes on disk.",
            queries=((once("regua_postgres_database_bytes"), "bytes"),),
            unit="bytes",
        ),
    ),
)

SERVERS = Dashboard(
    uid="regua-kafka-postgresql",
    title="Regua: Kafka and PostgreSQL",
    about="The two servers as the services see them.",
    rows=(_KAFKA, _OUTBOXES, _POSTGRES),
)
