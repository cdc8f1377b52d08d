"""Every metric of the platform, declared once: name with unit, meaning, bounded labels.

In: nothing. Out: module constants that code increments (`metrics.HTTP_REFUSED.labels("auth")`), so
that a misspelt metric is an import error. Labels are closed lists (route templates, channels,
reasons): never an id of a person, a name or an address. Hot paths bind their children once and
count once per batch. Add yours to the section of your part; `labels.bounded` keeps values that come
from configuration from growing without limit.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from shared.events.topics import TOPICS

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nobody reads
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# Seconds. From one database round trip to the longest request we let live.
_LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Seconds. What goes through Kafka and waits for others: from a batch to the end of a window.
_WAITING_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 14_400)


def _counter(name: str, meaning: str, *labels: str, known: tuple[str, ...] = ()) -> Counter:
    """Declare a counter. `known` values of its label begin at 0, so that the first one alarms."""
    made = Counter(f"regua_{name}_total", meaning, labels, registry=REGISTRY)
    for value in known:
        made.labels(value)
    return made


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"regua_{name}", meaning, labels, registry=REGISTRY)


def _seconds(
    name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _LATENCY_SECONDS
) -> Histogram:
    return Histogram(f"regua_{name}_seconds", meaning, labels, buckets=buckets, registry=REGISTRY)


# --- process (shared.runtime, shared.clock, shared.directory) -------------------------------------
COMPONENT_UP = _gauge(
    "component_up", "1 while the named loop runs, 0 when it stopped or crashed", "component"
)
COMPONENT_RESTARTS = _counter(
    "component_restarts", "Times a loop crashed that is not critical, and began anew", "component"
)
CLOCK_REFRESH_FAILURES = _counter(
    "clock_refresh_failures",
    "Times the database clock could not be read; time runs on from the last reading",
)
CONFIG_ENTRIES = _gauge(
    "config_entries", "Configuration entries in memory, deleted ones left out", "kind"
)
CONFIG_UNREADABLE = _counter(
    "config_unreadable", "Records of platform.config.v1 that could not be read and were passed over"
)

# --- HTTP (shared.http) ---------------------------------------------------------------------------
HTTP_SECONDS = _seconds(
    "http_request_duration",
    "Time from the request's head to the last byte of the answer",
    "method",
    "route",
    "status",
)
HTTP_REFUSED = _counter(
    "http_refused",
    "Requests turned away at the door, by reason: key, starting, load, media, json, size, slow",
    "reason",
)

# --- Kafka (shared.kafka) -------------------------------------------------------------------------
KAFKA_PUBLISHED = _counter(
    "kafka_published_records", "Records that all replicas have acknowledged", "topic"
)
KAFKA_PUBLISH_SECONDS = _seconds(
    "kafka_publish_duration", "Time until all replicas had one batch of records"
)
KAFKA_PUBLISH_FAILURES = _counter(
    "kafka_publish_failures", "Batches that were not acknowledged in time; they are published again"
)
KAFKA_FETCHED = _counter("kafka_fetched_records", "Records read by consumer groups", "topic")
KAFKA_ASSIGNMENTS = _counter(
    "kafka_assignments", "Times a consumer group gave this process other partitions", "group"
)
KAFKA_LAG = _gauge(
    "kafka_lag_records",
    "Records on the topic that this service has not worked through, over all its replicas",
    "topic",
)
KAFKA_LOG_LOSSES = _counter(
    "kafka_log_losses", "Times Kafka was found to have lost its log, and everything went out again"
)
DEAD_LETTERS = _counter(
    "dead_letters",
    "Records that went to the topic's dead letters",
    "topic",
    known=tuple(topic.name for topic in TOPICS),
)

# --- PostgreSQL (shared.postgres) -----------------------------------------------------------------
POOL_IN_USE = _gauge("postgres_pool_in_use_connections", "Connections lent out of the pool now")
POOL_MAX = _gauge("postgres_pool_max_connections", "The most connections the pool opens")
OUTBOX_ROWS = _gauge(
    "outbox_unpublished_rows", "Committed rows that Kafka does not have yet (at most 100,000)",
    "outbox",
)  # fmt: skip
OUTBOX_AGE = _gauge(
    "outbox_age_seconds", "How long the oldest unpublished row has been seen waiting", "outbox"
)
DATABASE_BYTES = _gauge("postgres_database_bytes", "Size of the database on disk")
DATABASE_CONNECTIONS = _gauge("postgres_connections", "Connections to the database, of everybody")
DATABASE_CONNECTIONS_MAX = _gauge("postgres_max_connections", "What the server allows")
DATABASE_OLDEST_TRANSACTION = _gauge(
    "postgres_oldest_transaction_seconds",
    "Age of the oldest open transaction of this service: relays and vacuum wait for it",
)
DATABASE_TRANSACTIONS = _counter(
    "postgres_transactions", "Transactions of the database by end: commit, rollback", "end"
)
DATABASE_DEADLOCKS = _counter("postgres_deadlocks", "Deadlocks in the database")
DATABASE_BLOCKS = _counter(
    "postgres_blocks", "Blocks asked for, by where they were found: memory, disk", "found"
)

# --- intake (services.scheduler.intake) -----------------------------------------------------------
INTAKE_EVENTS = _counter(
    "intake_events",
    "Debt events answered, by outcome: accepted, duplicate, parked, refused",
    "outcome",
)
INTAKE_RETRIES = _counter(
    "intake_retries",
    "Intake transactions that started over: a race was lost, or the database was busy or away",
)

# --- planner (services.scheduler) -----------------------------------------------------------------
SHARDS_OWNED = _gauge("shards_owned", "Shards (partition pairs) that this planner owns now")
EVENTS_FOLDED = _counter("events_folded", "Events folded into debtor states")
CONTACTS_PLANNED = _counter("contacts_planned", "Contacts planned", "channel")
CONTACTS_WITHHELD = _counter(
    "contacts_withheld", "Contacts decided against for good, by the rule that said no", "rule"
)
CONTACTS_DEFERRED = _counter(
    "contacts_deferred", "Due contacts put off at dispatch, by the rule that said not now", "rule"
)
CONTACTS_HANDED_OVER = _counter(
    "contacts_handed_over",
    "Contacts that passed the gate and went to their sender's topic with a permit",
    "channel",
)
WORK_ITEMS = _gauge(
    "work_items_open", "What waits for people, by law-time age: under_1d, 1d_to_7d, over_7d",
    "kind", "age",
)  # fmt: skip

# --- holds (services.scheduler) -------------------------------------------------------------------
HOLDS_LEARNED = _counter("holds_learned", "Holds of senders that the scheduler took over")
HOLDS_UNREADABLE = _counter(
    "holds_unreadable", "Records of contact.holds.v1 that the scheduler could not read"
)

# --- senders (shared.sender) ----------------------------------------------------------------------
SENDER_TASKS_FETCHED = _counter(
    "sender_tasks_fetched",
    "Records read from the task topic, close requests and unreadable ones included",
)
SENDER_TASKS_UNREADABLE = _counter(
    "sender_tasks_unreadable", "Records of the task topic that went to the dead letters"
)
SENDER_CLAIMS = _counter(
    "sender_claims",
    "Claims by verdict: claimed, taken, early, cancelled, expired, invalid",
    "verdict",
)
SENDER_CALLS = _counter(
    "sender_calls",
    "Claimed attempts by what became of them: accepted, unknown, ended, or the kind of refusal",
    "provider",
    "result",
)
SENDER_CALL_SECONDS = _seconds("sender_call_duration", "Time of one provider call", "provider")
SENDER_DISPATCH_SECONDS = _seconds(
    "sender_dispatch_to_answer",
    "Time from the scheduler's permit to the provider's answer, machine time",
    buckets=_WAITING_SECONDS,
)
SENDER_BATCH_SECONDS = _seconds(
    "sender_batch_duration",
    "Time of one batch in the database, by step: claim, record, store, interpret",
    "step",
)
SENDER_BATCH_ITEMS = _counter(
    "sender_batch_items", "Items in those batches: divide by their count for the mean size", "step"
)
SENDER_HANDED_BACK = _counter(
    "sender_handed_back", "Tasks given back to the scheduler without an attempt", "reason"
)
SENDER_SWEPT = _counter(
    "sender_swept", "Attempts that the sweeper turned unknown, or unknown for good", "state"
)
SENDER_UNKNOWN = _gauge(
    "sender_unknown_attempts",
    "Calls that may have been accepted and wait for evidence, by age: "
    "under_1h, 1h_to_6h, 6h_to_24h, over_24h",
    "age",
)
SENDER_THROTTLE_SECONDS = _seconds(
    "sender_throttle_wait",
    "Waits for a rate permit, by provider: their number and their length",
    "provider",
    buckets=_WAITING_SECONDS,
)
SENDER_PUSH_BACKS = _counter(
    "sender_push_backs", "Times a provider slowed us down, by what it slowed", "provider", "slows"
)
SENDER_BREAKERS_OPEN = _gauge(
    "sender_breakers_open", "Accounts whose circuit breaker lets no call through now"
)
SENDER_DATABASE_FAILURES = _counter(
    "sender_database_failures", "Batches that had to wait because the database was away"
)
SENDER_HOLDS_AGE_SECONDS = _gauge(
    "sender_holds_age_seconds",
    "How far the oldest partition of the holds feed is behind; -1 before its first mark",
)
SENDER_HOLDS_UNREADABLE = _counter(
    "sender_holds_unreadable", "Records of the holds feed that could not be read"
)
SENDER_WEBHOOKS = _counter(
    "sender_webhooks",
    "Webhooks: stored, repeated, forged, unreadable, no_account, too_large, not_stored",
    "result",
    known=("stored", "forged", "not_stored"),
)
SENDER_WEBHOOK_SECONDS = _seconds(
    "sender_webhook_duration", "Time from a genuine webhook to its answer: stored", "provider"
)
SENDER_RECEIPT_AGE_SECONDS = _seconds(
    "sender_receipt_age",
    "Time from a webhook's arrival until it was understood",
    buckets=_WAITING_SECONDS,
)
SENDER_RECEIPTS = _counter("sender_receipts", "Webhooks understood, by what became of them", "mark")
SENDER_REPLIES = _counter("sender_replies", "Replies by intent", "intent")
SENDER_NOTICES = _counter(
    "sender_notices", "What providers said of accounts, not of messages", "provider", "what"
)
SENDER_OPT_OUTS = _counter("sender_opt_outs", "Holds placed at once because a reply said stop")
SENDER_MAIL_CERTIFICATE_EXPIRES = _gauge(
    "sender_mail_certificate_expires_timestamp_seconds",
    "When the certificate of the way in by mail expires, since 1970; 0 without one",
)
SENDER_CONTRADICTIONS = _counter(
    "sender_contradictions",
    "Proofs of acceptance for attempts that were recorded as certainly not sent",
)

# --- ledger (services.contact_ledger) -------------------------------------------------------------
LEDGER_ENTRIES = _counter("ledger_entries", "Entries added to the ledger")
LEDGER_REPEATED = _counter(
    "ledger_repeated", "Records that the ledger knew already (redelivery is normal)"
)
LEDGER_DEAD_LETTERS = _counter(
    "ledger_dead_letters",
    "Records that the ledger could not read or store and sent to the dead letters",
)
LEDGER_LOGS_REPLACED = _counter(
    "ledger_logs_replaced",
    "Partitions whose log was found to be another one and was read from its beginning",
)
LEDGER_ALARMS = _counter(
    "ledger_alarms",
    "Contacts whose facts contradict a promise: accepted_after_non_send, accepted_twice",
    "kind",
    known=("accepted_after_non_send", "accepted_twice"),
)
LEDGER_HOLDS_UNREADABLE = _counter(
    "ledger_holds_unreadable",
    "Records of contact.holds.v1 that the ledger could not read and passed over",
)
KPI_RATIO = _gauge(
    "kpi_ratio", "KPIs of the last 30 days of law time (GET /v1/kpis)", "tenant", "portfolio", "kpi"
)
KPI_ACCOUNTS = _gauge(
    "kpi_assigned_accounts", "Accounts assigned in the last 30 days", "tenant", "portfolio"
)
