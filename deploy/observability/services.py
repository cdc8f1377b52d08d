"""A dashboard for each service: its own work first, then what all services have.

In: metrics of one job. Out: dashboards of scheduler, senders (alike, by name) and ledger.
"""

from deploy.observability import shared_rows
from deploy.observability.panels import Dashboard, Panel, Row, of_service
from deploy.observability.queries import in_a_day, once, per_second, total
from deploy.observability.senders import RETURNS, SENDERS, SENDING

_PLANNING = Row(
    "Planning",
    (
        Panel(
            title="Events answered",
            meaning="By outcome; parked ones wait for a registration.",
            queries=((per_second("regua_intake_events_total", "outcome"), "{{outcome}}"),),
            unit="cps",
        ),
        Panel(
            title="Events folded",
            meaning="Into debtor states, and intake transactions that started over.",
            queries=(
                (per_second("regua_events_folded_total"), "folded"),
                (per_second("regua_intake_retries_total"), "intake started over"),
            ),
            unit="cps",
        ),
        Panel(
            title="Shards owned",
            meaning="By replica; together they must be all partitions.",
            queries=((total("regua_shards_owned", "instance"), "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            title="Contacts",
            meaning="Planned, and handed over with a permit, by channel.",
            queries=(
                (per_second("regua_contacts_planned_total", "channel"), "planned {{channel}}"),
                (per_second("regua_contacts_handed_over_total", "channel"), "over {{channel}}"),
            ),
            unit="cps",
        ),
        Panel(
            title="Withheld and put off, by rule",
            meaning="Within 24 hours.",
            queries=(
                (in_a_day("regua_contacts_withheld_total", "rule"), "withheld: {{rule}}"),
                (in_a_day("regua_contacts_deferred_total", "rule"), "put off: {{rule}}"),
            ),
            kind="bargauge",
        ),
        Panel(
            title="Work for people, by kind and age",
            meaning="Work items that are not closed, hand-offs among them, by law-time age.",
            queries=((once("regua_work_items_open", "kind, age"), "{{kind}} {{age}}"),),
            kind="bargauge",
        ),
        Panel(
            title="Holds",
            meaning="Holds of senders that were taken over, and records that could not be read.",
            queries=(
                (per_second("regua_holds_learned_total"), "learned"),
                (per_second("regua_holds_unreadable_total"), "unreadable"),
            ),
            unit="cps",
        ),
    ),
)
_RECORDING = Row(
    "Recording",
    (
        Panel(
            title="Entries",
            meaning="New ones, and records that were known already (redelivery is normal).",
            queries=(
                (per_second("regua_ledger_entries_total"), "new"),
                (per_second("regua_ledger_repeated_total"), "known"),
            ),
            unit="cps",
        ),
        Panel(
            title="Contradictions",
            meaning="Contacts whose facts contradict a promise, within 24 hours, by kind.",
            queries=((in_a_day("regua_ledger_alarms_total", "kind"), "{{kind}}"),),
            kind="bargauge",
        ),
        Panel(
            title="Not recorded",
            meaning="Dead letters, holds that could not be read, logs replaced, in 24 hours.",
            queries=(
                (in_a_day("regua_ledger_dead_letters_total"), "dead letters"),
                (in_a_day("regua_ledger_holds_unreadable_total"), "holds"),
                (in_a_day("regua_ledger_logs_replaced_total"), "logs replaced"),
            ),
            kind="bargauge",
        ),
        Panel(
            title="Accounts assigned",
            meaning="By portfolio, over the last 30 days of law time.",
            queries=(
                (
                    once("regua_kpi_assigned_accounts", "tenant, portfolio"),
                    "{{tenant}} / {{portfolio}}",
                ),
            ),
            kind="bargauge",
            width=24,
        ),
    ),
)


def _service(name: str, about: str, *own: Row) -> Dashboard:
    return Dashboard(
        uid=f"regua-{name.replace('_', '-')}",
        title=f"Regua: {name}",
        about=about,
        rows=tuple(
            of_service(row, name)
            for row in (*own, shared_rows.DOORS, shared_rows.PIPES, shared_rows.PROCESS)
        ),
    )


SERVICES = (
    _service("scheduler", "Intake, planning, dispatch, holds.", _PLANNING),
    *(
        _service(name, "Claims, provider calls, what comes back.", SENDING, RETURNS)
        for name in SENDERS
    ),
    _service("contact_ledger", "Entries, contradictions, figures.", _RECORDING),
)
