"""When each alert fires and when it keeps quiet: series as promtool reads them, one minute a step.

In: nothing. Out: `CASES`, by alert: series at which it fires (with the labels that it then has),
and series at which it must not.
"""

from typing import NamedTuple

Series = dict[str, str]


class Case(NamedTuple):
    """`at` is the minute of the judgement; `labels` come with the alert besides the rule's own."""

    fires: Series
    quiet: Series
    labels: dict[str, str]
    at: int = 20


SMS = {"job": "sms_sender"}
TWILIO = {"job": "sms_sender", "provider": "twilio"}
TASKS = {"job": "sms_sender", "topic": "contact.tasks.sms.v1"}
UP = 'up{job="scheduler", instance="a"}'
HTTP = 'regua_http_request_duration_seconds_count{{job="scheduler", status="{}"}}'
EVENTS = (
    'regua_http_request_duration_seconds_bucket{{job="scheduler", route="/v1/events", le="{}"}}'
)
WEBHOOK = 'regua_sender_webhook_duration_seconds_bucket{{job="sms_sender", le="{}"}}'
CALLS = 'regua_sender_calls_total{{job="sms_sender", provider="twilio", result="{}"}}'
LAG = 'regua_kafka_lag_records{job="sms_sender", topic="contact.tasks.sms.v1"}'
FETCHED = 'regua_kafka_fetched_records_total{job="sms_sender", topic="contact.tasks.sms.v1"}'
HOLDS_AGE = 'regua_sender_holds_age_seconds{job="sms_sender"}'
WEBHOOKS = 'regua_sender_webhooks_total{{job="sms_sender", result="{}"}}'
CERTIFICATE = (
    'regua_sender_mail_certificate_expires_timestamp_seconds{{job="email_sender", instance="{}"}}'
)
UNKNOWN = 'regua_sender_unknown_attempts{{job="sms_sender", age="{}"}}'
HANDED = 'regua_work_items_open{{job="scheduler", kind="handoff", age="{}"}}'
DEAD = 'regua_dead_letters_total{job="sms_sender", topic="contact.tasks.sms.v1"}'
PUSH_BACKS = 'regua_sender_push_backs_total{job="sms_sender", provider="twilio", slows="account"}'

CASES: dict[str, Case] = {
    "ReguaContradiction": Case(
        {'regua_ledger_alarms_total{job="contact_ledger", kind="accepted_twice"}': "0x15 1x10"},
        {'regua_ledger_alarms_total{job="contact_ledger", kind="accepted_twice"}': "3x30"},
        {"kind": "accepted_twice"},
    ),
    "ReguaEvidenceAgainstRecord": Case(
        {'regua_sender_contradictions_total{job="sms_sender"}': "0x15 1x10"},
        {'regua_sender_contradictions_total{job="sms_sender"}': "2x30"},
        SMS,
    ),
    "ReguaHandOffsLate": Case(
        {HANDED.format("over_7d"): "2x90"},
        {HANDED.format("1d_to_7d"): "2x90", HANDED.format("over_7d"): "0x90"},
        {"job": "scheduler"},
        at=80,
    ),
    "ReguaHoldsFeedStale": Case({HOLDS_AGE: "0x15 9x10"}, {HOLDS_AGE: "1x18 9 1x10"}, SMS),
    "ReguaHoldsNotPublished": Case(
        {'regua_outbox_age_seconds{job="scheduler", outbox="holds"}': "0x19 8x5"},
        {
            'regua_outbox_age_seconds{job="scheduler", outbox="holds"}': "2x30",
            'regua_outbox_age_seconds{job="scheduler", outbox="outbox"}': "30x30",
        },
        {"job": "scheduler"},
    ),
    "ReguaHoldsUnreadable": Case(
        {'regua_holds_unreadable_total{job="scheduler"}': "0x15 1x10"},
        {'regua_sender_holds_unreadable_total{job="sms_sender"}': "1x30"},
        {"job": "scheduler"},
    ),
    "ReguaServiceDown": Case(
        {UP: "1x15 0x10", 'up{job="scheduler", instance="b"}': "0x30"},
        {UP: "1x30", 'up{job="scheduler", instance="b"}': "0x30"},
        {"job": "scheduler"},
    ),
    "ReguaReplicaDown": Case(
        {UP: "1x10 0x15", 'up{job="scheduler", instance="b"}': "1x30"},
        {UP: "1x17 0 1x10", 'up{job="grafana", instance="c"}': "0x30"},
        {"job": "scheduler", "instance": "a"},
    ),
    "ReguaLoopDown": Case(
        {'regua_component_up{job="scheduler", component="lane"}': "1x15 0x10"},
        {'regua_component_up{job="scheduler", component="lane"}': "1x18 0 1x10"},
        {"job": "scheduler", "component": "lane"},
    ),
    "ReguaShardsUnowned": Case(
        {'regua_shards_owned{job="scheduler", instance="a"}': "12x15 0x10"},
        {
            'regua_shards_owned{job="scheduler", instance="a"}': "0x30",
            'regua_shards_owned{job="scheduler", instance="b"}': "12x30",
        },
        {},
    ),
    "ReguaClockUnread": Case(
        {'regua_clock_refresh_failures_total{job="sms_sender"}': "0+60x30"},
        {'regua_clock_refresh_failures_total{job="sms_sender"}': "0x10 1x20"},
        SMS,
    ),
    "ReguaRequestsFail": Case(
        {HTTP.format(202): "0+100x30", HTTP.format(503): "0+10x30"},
        {HTTP.format(202): "0+100x30", HTTP.format(503): "0+1x30", HTTP.format(422): "0+99x30"},
        {"job": "scheduler"},
    ),
    "ReguaIntakeSlow": Case(
        {
            EVENTS.format(2.5): "0+90x30",
            EVENTS.format(5): "0+100x30",
            EVENTS.format("+Inf"): "0+100x30",
        },
        {
            EVENTS.format(0.1): "0+99.9x30",
            EVENTS.format(5): "0+100x30",
            EVENTS.format("+Inf"): "0+100x30",
        },
        {},
    ),
    "ReguaWebhooksNotStored": Case(
        {WEBHOOKS.format("not_stored"): "0x5 0+5x25"},
        {WEBHOOKS.format("not_stored"): "7x30", WEBHOOKS.format("stored"): "0+50x30"},
        SMS,
    ),
    "ReguaWebhooksSlow": Case(
        {
            WEBHOOK.format(0.25): "0+10x30",
            WEBHOOK.format(1): "0+100x30",
            WEBHOOK.format("+Inf"): "0+100x30",
        },
        {
            WEBHOOK.format(0.05): "0+90x30",
            WEBHOOK.format(1): "0+100x30",
            WEBHOOK.format("+Inf"): "0+100x30",
        },
        SMS,
    ),
    "ReguaMailCertificateExpires": Case(
        {CERTIFICATE.format("a"): "604800x30", CERTIFICATE.format("b"): "9e9x30"},
        {CERTIFICATE.format("a"): "610000x30", CERTIFICATE.format("b"): "0x30"},
        {"job": "email_sender"},
    ),
    "ReguaWebhooksForged": Case(
        {WEBHOOKS.format("forged"): "0+10x30"}, {WEBHOOKS.format("forged"): "0+1x30"}, SMS
    ),
    "ReguaProviderFailing": Case(
        {CALLS.format("accepted"): "0+60x30", CALLS.format("unknown"): "0+40x30"},
        {
            CALLS.format("accepted"): "0+60x30",
            CALLS.format("recipient_invalid"): "0+30x30",
            CALLS.format("throttled"): "0+30x30",
            CALLS.format("unreachable"): "0+2x30",
        },
        TWILIO,
    ),
    "ReguaBreakerOpen": Case(
        {'regua_sender_breakers_open{job="sms_sender"}': "0x5 1x25"},
        {'regua_sender_breakers_open{job="sms_sender"}': "0x15 1x5 0x10"},
        SMS,
    ),
    "ReguaThrottled": Case(
        {PUSH_BACKS: "0+30x30"},
        {PUSH_BACKS: "0+1x30"},
        TWILIO,
    ),
    "ReguaReceiptsMissing": Case(
        {
            CALLS.format("accepted"): "0+20x120",
            'regua_sender_receipts_total{job="sms_sender", mark="applied"}': "50x120",
        },
        {
            CALLS.format("accepted"): "0+20x120",
            'regua_sender_receipts_total{job="sms_sender", mark="applied"}': "0+1x120",
        },
        SMS,
        at=100,
    ),
    "ReguaUnknownAttempts": Case(
        {UNKNOWN.format("6h_to_24h"): "0x5 2x60", UNKNOWN.format("under_1h"): "0x60"},
        {UNKNOWN.format("6h_to_24h"): "0x60", UNKNOWN.format("under_1h"): "90x60"},
        SMS,
        at=50,
    ),
    "ReguaOutboxStuck": Case(
        {'regua_outbox_age_seconds{job="scheduler", outbox="outbox"}': "0x10 60+60x15"},
        {'regua_outbox_age_seconds{job="scheduler", outbox="outbox"}': "20x30"},
        {"job": "scheduler"},
    ),
    "ReguaLag": Case({LAG: "60000x30"}, {LAG: "60000x18 100x10"}, TASKS),
    "ReguaLagStuck": Case(
        {LAG: "40x40", FETCHED: "900x40"}, {LAG: "40x40", FETCHED: "0+5x40"}, TASKS, at=35
    ),
    "ReguaDeadLetters": Case({DEAD: "0x15 1x10"}, {DEAD: "4x30"}, TASKS),
    "ReguaPublishFails": Case(
        {'regua_kafka_publish_failures_total{job="scheduler"}': "0+1x30"},
        {'regua_kafka_publish_failures_total{job="scheduler"}': "0x12 1x20"},
        {"job": "scheduler"},
    ),
    "ReguaLogLost": Case(
        {'regua_kafka_log_losses_total{job="scheduler"}': "0x15 1x10"},
        {'regua_kafka_log_losses_total{job="scheduler"}': "1x30"},
        {"job": "scheduler"},
    ),
    "ReguaConnectionsUsedUp": Case(
        {
            'regua_postgres_connections{job="scheduler"}': "95x30",
            'regua_postgres_max_connections{job="scheduler"}': "100x30",
        },
        {
            'regua_postgres_connections{job="scheduler"}': "60x30",
            'regua_postgres_max_connections{job="scheduler"}': "100x30",
        },
        {},
    ),
    "ReguaLongTransaction": Case(
        {'regua_postgres_oldest_transaction_seconds{job="scheduler"}': "0+60x30"},
        {'regua_postgres_oldest_transaction_seconds{job="scheduler"}': "12x30"},
        {"job": "scheduler"},
    ),
}
