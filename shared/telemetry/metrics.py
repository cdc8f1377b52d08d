"""Every metric of the platform, declared once: name with unit, meaning, bounded labels.

In: nothing. Out: module constants that code increments (`metrics.HTTP_REFUSED.labels("auth")`), so
that a misspelt metric is an import error. Labels are closed lists (route templates, channels,
reasons): never an id, a name or an address. Hot paths bind their children once and count once per
batch. Add yours to the section of your part.
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

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nobody reads
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# Seconds. From one database round trip to the longest request we let live.
_LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# --- process (shared.runtime, shared.clock, shared.directory) -------------------------------------
COMPONENT_UP = Gauge(
    "regua_component_up",
    "1 while the named loop of this process runs, 0 when it stopped or crashed",
    ["component"],
    registry=REGISTRY,
)
COMPONENT_RESTARTS = Counter(
    "regua_component_restarts_total",
    "Times a loop that is not critical crashed and was started again",
    ["component"],
    registry=REGISTRY,
)
CLOCK_REFRESH_FAILURES = Counter(
    "regua_clock_refresh_failures_total",
    "Times the database clock could not be read; time runs on from the last reading",
    registry=REGISTRY,
)
CONFIG_ENTRIES = Gauge(
    "regua_config_entries",
    "Configuration entries in memory, deleted ones left out",
    ["kind"],
    registry=REGISTRY,
)
CONFIG_UNREADABLE = Counter(
    "regua_config_unreadable_total",
    "Records of platform.config.v1 that could not be read and were passed over",
    registry=REGISTRY,
)

# --- HTTP (shared.http) ---------------------------------------------------------------------------
HTTP_SECONDS = Histogram(
    "regua_http_request_duration_seconds",
    "Time from the request's head to the last byte of the answer",
    ["method", "route", "status"],
    buckets=_LATENCY_SECONDS,
    registry=REGISTRY,
)
HTTP_REFUSED = Counter(
    "regua_http_refused_total",
    "Requests turned away at the door, by reason: key, starting, load, media, json, size, slow",
    ["reason"],
    registry=REGISTRY,
)

# --- planner (services.scheduler) -----------------------------------------------------------------
SHARDS_OWNED = Gauge(
    "regua_shards_owned",
    "Shards (partition pairs) that this planner owns now",
    registry=REGISTRY,
)
EVENTS_FOLDED = Counter(
    "regua_events_folded_total",
    "Events folded into debtor states",
    registry=REGISTRY,
)
CONTACTS_PLANNED = Counter(
    "regua_contacts_planned_total",
    "Contacts planned",
    registry=REGISTRY,
)
CONTACTS_HANDED_OVER = Counter(
    "regua_contacts_handed_over_total",
    "Contacts that passed the gate and went to their sender's topic with a permit",
    registry=REGISTRY,
)

# --- ledger (services.contact_ledger) -------------------------------------------------------------
LEDGER_ENTRIES = Counter(
    "regua_ledger_entries_total",
    "Entries added to the ledger",
    registry=REGISTRY,
)
LEDGER_REPEATED = Counter(
    "regua_ledger_repeated_total",
    "Records that the ledger knew already (redelivery is normal)",
    registry=REGISTRY,
)
LEDGER_DEAD_LETTERS = Counter(
    "regua_ledger_dead_letters_total",
    "Records that the ledger could not read or store and sent to the dead letters",
    registry=REGISTRY,
)
LEDGER_LOGS_REPLACED = Counter(
    "regua_ledger_logs_replaced_total",
    "Partitions whose log was found to be another one and was read from its beginning",
    registry=REGISTRY,
)
LEDGER_ALARMS = Counter(
    "regua_ledger_alarms_total",
    "Contacts whose facts contradict a promise: accepted_after_non_send, accepted_twice",
    ["kind"],
    registry=REGISTRY,
)
LEDGER_HOLDS_UNREADABLE = Counter(
    "regua_ledger_holds_unreadable_total",
    "Records of contact.holds.v1 that the ledger could not read and passed over",
    registry=REGISTRY,
)

# --- intake (services.scheduler.intake) -----------------------------------------------------------
INTAKE_EVENTS = Counter(
    "regua_intake_events_total",
    "Debt events answered, by outcome: accepted, duplicate, parked, refused",
    ["outcome"],
    registry=REGISTRY,
)
INTAKE_RETRIES = Counter(
    "regua_intake_retries_total",
    "Intake transactions that started over: a race was lost, or the database was busy or away",
    registry=REGISTRY,
)

# --- senders (shared.sender) ----------------------------------------------------------------------
SENDER_TASKS_FETCHED = Counter(
    "regua_sender_tasks_fetched_total",
    "Records read from the task topic, close requests and unreadable ones included",
    registry=REGISTRY,
)
SENDER_TASKS_UNREADABLE = Counter(
    "regua_sender_tasks_unreadable_total",
    "Records of the task topic that went to the dead letters",
    registry=REGISTRY,
)
SENDER_CLAIMS = Counter(
    "regua_sender_claims_total",
    "Claims by verdict: claimed, taken, early, cancelled, expired, invalid",
    ["verdict"],
    registry=REGISTRY,
)
SENDER_CALLS = Counter(
    "regua_sender_calls_total",
    "Claimed attempts by what became of them: accepted, unknown, ended, or the kind of refusal",
    ["result"],
    registry=REGISTRY,
)
SENDER_CALL_SECONDS = Histogram(
    "regua_sender_call_duration_seconds",
    "Time of one provider call",
    buckets=_LATENCY_SECONDS,
    registry=REGISTRY,
)
SENDER_BATCH_SECONDS = Histogram(
    "regua_sender_batch_duration_seconds",
    "Time of one batch in the database, by step: claim, record, store, interpret",
    ["step"],
    buckets=_LATENCY_SECONDS,
    registry=REGISTRY,
)
SENDER_BATCH_ITEMS = Counter(
    "regua_sender_batch_items_total",
    "Items in those batches: divide by their count for the mean size",
    ["step"],
    registry=REGISTRY,
)
SENDER_HANDED_BACK = Counter(
    "regua_sender_handed_back_total",
    "Tasks given back to the scheduler without an attempt, by reason",
    ["reason"],
    registry=REGISTRY,
)
SENDER_SWEPT = Counter(
    "regua_sender_swept_total",
    "Attempts that the sweeper turned unknown, or unknown for good",
    ["state"],
    registry=REGISTRY,
)
SENDER_DATABASE_FAILURES = Counter(
    "regua_sender_database_failures_total",
    "Batches that had to wait because the database was away",
    registry=REGISTRY,
)
SENDER_HOLDS_AGE_SECONDS = Gauge(
    "regua_sender_holds_age_seconds",
    "How far the oldest partition of the holds feed is behind; -1 before its first mark",
    registry=REGISTRY,
)
SENDER_HOLDS_UNREADABLE = Counter(
    "regua_sender_holds_unreadable_total",
    "Records of the holds feed that could not be read",
    registry=REGISTRY,
)
SENDER_WEBHOOKS = Counter(
    "regua_sender_webhooks_total",
    "Webhooks: stored, repeated, forged, unreadable, no_account, too_large, not_stored",
    ["result"],
    registry=REGISTRY,
)
SENDER_RECEIPTS = Counter(
    "regua_sender_receipts_total",
    "Webhooks understood, by what became of them",
    ["mark"],
    registry=REGISTRY,
)
SENDER_REPLIES = Counter(
    "regua_sender_replies_total",
    "Replies by intent",
    ["intent"],
    registry=REGISTRY,
)
SENDER_OPT_OUTS = Counter(
    "regua_sender_opt_outs_total",
    "Holds placed at once because a reply said stop",
    registry=REGISTRY,
)
SENDER_CONTRADICTIONS = Counter(
    "regua_sender_contradictions_total",
    "Proofs of acceptance for attempts that were recorded as certainly not sent",
    registry=REGISTRY,
)

# --- holds (services.scheduler) -------------------------------------------------------------------
HOLDS_LEARNED = Counter(
    "regua_holds_learned_total",
    "Holds of senders that the scheduler took over",
    registry=REGISTRY,
)
HOLDS_UNREADABLE = Counter(
    "regua_holds_unreadable_total",
    "Records of contact.holds.v1 that the scheduler could not read",
    registry=REGISTRY,
)
