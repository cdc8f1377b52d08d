"""What a sender's dashboard shows: its work, and what comes back. All senders have the same.

Out: rows with a placeholder for the service, which `of_service` fills in.
"""

from deploy.observability.panels import OF, Panel, Row
from deploy.observability.queries import once, per_second, quantile, ratio, total

SENDERS = ("sms_sender", "email_sender", "whatsapp_sender")


# Claims, calls, and what keeps them waiting.
SENDING = Row(
    "Sending",
    (
        Panel(
            title="Calls by provider and outcome",
            meaning="What became of claimed attempts.",
            queries=(
                (
                    per_second("regua_sender_calls_total", "provider, result", OF),
                    "{{provider}} {{result}}",
                ),
            ),
            unit="cps",
            stacked=True,
        ),
        Panel(
            title="Time of a call",
            meaning="Median and 99th percentile by provider.",
            queries=tuple(
                (
                    quantile(of, "regua_sender_call_duration_seconds", "provider", OF),
                    f"{name} {{{{provider}}}}",
                )
                for of, name in ((0.5, "median"), (0.99, "99 %"))
            ),
            unit="s",
        ),
        Panel(
            title="Unknown, by age",
            meaning="Calls that may have been accepted and wait for evidence.",
            queries=((once("regua_sender_unknown_attempts", "age", OF), "{{age}}"),),
            stacked=True,
        ),
        Panel(
            title="Claims by verdict",
            meaning="What the claim decided; taken ones are another process's or done.",
            queries=((per_second("regua_sender_claims_total", "verdict", OF), "{{verdict}}"),),
            unit="cps",
        ),
        Panel(
            title="Waits for rate permits",
            meaning="Seconds waited a second, by provider; times that providers slowed us.",
            queries=(
                (
                    per_second("regua_sender_throttle_wait_seconds_sum", "provider", OF),
                    "waited {{provider}}",
                ),
                (
                    per_second("regua_sender_push_backs_total", "provider, slows", OF),
                    "slowed by {{provider}}: {{slows}}",
                ),
            ),
        ),
        Panel(
            title="Handed back",
            meaning="Tasks returned without an attempt, by reason.",
            queries=((per_second("regua_sender_handed_back_total", "reason", OF), "{{reason}}"),),
            unit="cps",
        ),
        Panel(
            title="Holds feed",
            meaning="How far it is behind; at 3 s nothing is sent.",
            queries=((once("regua_sender_holds_age_seconds", "instance", OF), "{{instance}}"),),
            unit="s",
        ),
        Panel(
            title="Breakers open",
            meaning="Accounts that no call goes to now; batches that waited for the database.",
            queries=(
                (total("regua_sender_breakers_open", where=OF), "accounts"),
                (
                    per_second("regua_sender_database_failures_total", where=OF),
                    "database away (per second)",
                ),
            ),
        ),
        Panel(
            title="Tasks",
            meaning="Read from the topic, and those that went to the dead letters.",
            queries=(
                (per_second("regua_sender_tasks_fetched_total", where=OF), "read"),
                (per_second("regua_sender_tasks_unreadable_total", where=OF), "unreadable"),
            ),
            unit="cps",
        ),
        Panel(
            title="Batch sizes",
            meaning="Mean number of items of a batch, by step: larger under load is right.",
            queries=(
                (
                    ratio(
                        per_second("regua_sender_batch_items_total", "step", OF),
                        per_second("regua_sender_batch_duration_seconds_count", "step", OF),
                    ),
                    "{{step}}",
                ),
            ),
        ),
        Panel(
            title="Batches",
            meaning="99th percentile of a batch in the database, by step.",
            queries=(
                (
                    quantile(0.99, "regua_sender_batch_duration_seconds", "step", OF),
                    "{{step}}",
                ),
            ),
            unit="s",
        ),
    ),
)


# Webhooks, receipts, replies.
RETURNS = Row(
    "What comes back",
    (
        Panel(
            title="Webhooks",
            meaning="By result; forged ones have a wrong signature.",
            queries=((per_second("regua_sender_webhooks_total", "result", OF), "{{result}}"),),
            unit="cps",
        ),
        Panel(
            title="Answered, understood",
            meaning="99th percentiles: webhook to answer by provider, and until understood.",
            queries=(
                (
                    quantile(0.99, "regua_sender_webhook_duration_seconds", "provider", OF),
                    "answered {{provider}}",
                ),
                (quantile(0.99, "regua_sender_receipt_age_seconds", where=OF), "understood"),
            ),
            unit="s",
        ),
        Panel(
            title="Receipts and replies",
            meaning="Receipts by what became of them, replies by intent.",
            queries=(
                (per_second("regua_sender_receipts_total", "mark", OF), "{{mark}}"),
                (per_second("regua_sender_replies_total", "intent", OF), "said: {{intent}}"),
            ),
            unit="cps",
        ),
        Panel(
            title="Notices",
            meaning="What providers said of accounts, not of messages.",
            queries=(
                (
                    per_second("regua_sender_notices_total", "provider, what", OF),
                    "{{provider}} {{what}}",
                ),
            ),
            unit="cps",
            width=12,
        ),
        Panel(
            title="Holds that could not be read",
            meaning="Records of the holds feed; each is an alert.",
            queries=(
                (per_second("regua_sender_holds_unreadable_total", where=OF), "unreadable"),
                (per_second("regua_sender_opt_outs_total", where=OF), "opt-outs obeyed"),
            ),
            unit="cps",
            width=12,
        ),
        Panel(
            title="Swept",
            meaning="Attempts that became unknown, or unknown for good; contradictions.",
            queries=(
                (per_second("regua_sender_swept_total", "state", OF), "{{state}}"),
                (per_second("regua_sender_contradictions_total", where=OF), "contradictions"),
            ),
            unit="cps",
            width=24,
        ),
    ),
)
