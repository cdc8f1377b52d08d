"""The first page: is it all right, how much flows, why not more, how long it takes, what it brings.

In: metrics of all services. Out: one dashboard.
"""

from deploy.observability.panels import Dashboard, Panel, Row
from deploy.observability.queries import in_a_day, once, per_second, quantile

_STATE = Row(
    "Is it all right?",
    (
        Panel(
            title="Alerts",
            meaning="Alerts that are firing.",
            queries=(('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),),
            kind="stat",
            width=3,
            warn_at=1,
        ),
        Panel(
            title="Processes down",
            meaning="Of those that Prometheus knows.",
            queries=(("count(up == 0) or vector(0)", "down"),),
            kind="stat",
            width=3,
            warn_at=1,
        ),
        Panel(
            title="Holds feed behind",
            meaning="The worst sender's; at 3 s it stops sending by itself.",
            queries=((once("regua_sender_holds_age_seconds"), "age"),),
            unit="s",
            kind="stat",
            width=3,
            warn_at=3,
        ),
        Panel(
            title="Oldest outbox row",
            meaning="Of any service: what it says reaches nobody while this grows.",
            queries=((once("regua_outbox_age_seconds"), "age"),),
            unit="s",
            kind="stat",
            width=3,
            warn_at=60,
        ),
        Panel(
            title="Records behind",
            meaning="The worst topic of any service.",
            queries=((once("regua_kafka_lag_records"), "records"),),
            kind="stat",
            width=3,
            warn_at=50_000,
        ),
        Panel(
            title="Unknown over 6 h",
            meaning="Calls that may have been accepted and still have no evidence.",
            queries=(
                (
                    'sum(max by (job, age) (regua_sender_unknown_attempts{age=~"6h.*|over.*"}))',
                    "attempts",
                ),
            ),
            kind="stat",
            width=3,
            warn_at=1,
        ),
        Panel(
            title="Contradictions today",
            meaning="Facts of contacts that contradict a promise: look at once.",
            queries=((in_a_day("regua_ledger_alarms_total"), "contacts"),),
            kind="stat",
            width=3,
            warn_at=1,
        ),
        Panel(
            title="Dead letters today",
            meaning="Records that nobody could read.",
            queries=((in_a_day("regua_dead_letters_total"), "records"),),
            kind="stat",
            width=3,
            warn_at=1,
        ),
    ),
)
_FLOW = Row(
    "How much flows?",
    (
        Panel(
            title="Events in",
            meaning="Debt events answered, by outcome.",
            queries=((per_second("regua_intake_events_total", "outcome"), "{{outcome}}"),),
            unit="cps",
            stacked=True,
        ),
        Panel(
            title="Contacts planned and handed over",
            meaning="By channel; the distance between the two is what waits or was put off.",
            queries=(
                (per_second("regua_contacts_planned_total", "channel"), "planned {{channel}}"),
                (per_second("regua_contacts_handed_over_total", "channel"), "over {{channel}}"),
            ),
            unit="cps",
        ),
        Panel(
            title="Calls by provider and outcome",
            meaning="What became of claimed attempts.",
            queries=(
                (
                    per_second("regua_sender_calls_total", "provider, result"),
                    "{{provider}} {{result}}",
                ),
            ),
            unit="cps",
            stacked=True,
        ),
        Panel(
            title="Receipts",
            meaning="Webhooks understood, by what became of them.",
            queries=((per_second("regua_sender_receipts_total", "job, mark"), "{{job}} {{mark}}"),),
            unit="cps",
        ),
        Panel(
            title="Replies and opt-outs",
            meaning="Replies by intent; holds placed at once because a reply said stop.",
            queries=(
                (per_second("regua_sender_replies_total", "intent"), "{{intent}}"),
                (per_second("regua_sender_opt_outs_total"), "stopped at once"),
            ),
            unit="cps",
        ),
        Panel(
            title="Ledger entries",
            meaning="New entries, and records that were known already.",
            queries=(
                (per_second("regua_ledger_entries_total"), "new"),
                (per_second("regua_ledger_repeated_total"), "known"),
            ),
            unit="cps",
        ),
    ),
)
_WHY_NOT = Row(
    "Why not more?",
    (
        Panel(
            title="Withheld, by rule",
            meaning="Contacts decided against for good, within 24 hours.",
            queries=((in_a_day("regua_contacts_withheld_total", "rule"), "{{rule}}"),),
            kind="bargauge",
        ),
        Panel(
            title="Put off at dispatch, by rule",
            meaning="Due contacts that had to wait, within 24 hours.",
            queries=((in_a_day("regua_contacts_deferred_total", "rule"), "{{rule}}"),),
            kind="bargauge",
        ),
        Panel(
            title="Handed back by senders",
            meaning="Tasks returned without an attempt, within 24 hours, by reason.",
            queries=(
                (in_a_day("regua_sender_handed_back_total", "job, reason"), "{{job}} {{reason}}"),
            ),
            kind="bargauge",
        ),
    ),
)
_PEOPLE = Row(
    "What waits for people?",
    (
        Panel(
            title="Hand-offs, by age",
            meaning="Steps that people have, asked for on the topic of hand-offs; law-time age.",
            queries=((once("regua_work_items_open", "age", 'kind="handoff"'), "{{age}}"),),
            kind="bargauge",
        ),
        Panel(
            title="Other work, by kind",
            meaning="Unsure replies, parked events, mandatory steps that did not go through.",
            queries=(
                (
                    'sum by (kind) (max by (kind, age) (regua_work_items_open{kind!="handoff"}))',
                    "{{kind}}",
                ),
            ),
            kind="bargauge",
        ),
    ),
)
_HOW_LONG = Row(
    "How long does it take?",
    (
        Panel(
            title="Intake",
            meaning="Time to answer posted events.",
            queries=tuple(
                (
                    quantile(
                        of,
                        "regua_http_request_duration_seconds",
                        where='job="scheduler", route=~"/v1/events.*"',
                    ),
                    name,
                )
                for of, name in ((0.5, "median"), (0.99, "99 %"))
            ),
            unit="s",
        ),
        Panel(
            title="From permit to the provider's answer",
            meaning="99th percentile by channel: Kafka, claim, rate permit and the call.",
            queries=(
                (
                    quantile(0.99, "regua_sender_dispatch_to_answer_seconds", "job"),
                    "{{job}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Webhooks",
            meaning="Median time to store and answer, and the 99th percentile until understood.",
            queries=(
                (
                    quantile(0.5, "regua_sender_webhook_duration_seconds", "provider"),
                    "{{provider}}",
                ),
                (quantile(0.99, "regua_sender_receipt_age_seconds", "job"), "understood {{job}}"),
            ),
            unit="s",
        ),
    ),
)
_YIELD = Row(
    "What does it bring?",
    tuple(
        Panel(
            title=title,
            meaning=f"{meaning} By portfolio, over the last 30 days of law time.",
            queries=(
                (
                    once(
                        "regua_kpi_ratio",
                        "tenant, portfolio",
                        f'kpi="{kpi}", tenant=~"$tenant", portfolio=~"$portfolio"',
                    ),
                    "{{tenant}} / {{portfolio}}",
                ),
            ),
            unit=unit,
            kind="bargauge",
        )
        for kpi, title, meaning, unit in (
            ("penetration", "Penetration", "Accounts reached per account assigned.", "percentunit"),
            ("intensity", "Intensity", "Attempts per account attempted.", "short"),
            ("rpc", "Right party", "Right-party contacts per contact.", "percentunit"),
            ("ptp", "Promises", "Promises per right-party contact.", "percentunit"),
            ("kp_of_promises", "Kept", "Promises kept per promise made.", "percentunit"),
            ("kp_of_due", "Kept of due", "Promises kept per promise due.", "percentunit"),
        )
    ),
)
_ERRORS = Row(
    "What went wrong?",
    (
        Panel(
            title="Traces with errors",
            meaning="The newest; a click shows the way of that event through all services.",
            traceql='{ resource.service.namespace = "regua" && status = error }',
            kind="table",
            width=24,
        ),
    ),
)

OVERVIEW = Dashboard(
    uid="regua-overview",
    title="Regua: overview",
    about="Is it all right, how much flows, why not more, how long it takes, what it brings.",
    rows=(_STATE, _FLOW, _WHY_NOT, _PEOPLE, _HOW_LONG, _YIELD, _ERRORS),
    variables=(
        ("tenant", "regua_kpi_ratio", "tenant"),
        ("portfolio", "regua_kpi_ratio", "portfolio"),
    ),
)
