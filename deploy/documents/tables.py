"""The generated tables, by name: settings, topics, types, states, metrics, send errors.

In: the code that each table is about. Out: Markdown text, ending with a newline. To add one, write
a function and name it in `TABLES`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from prometheus_client.registry import Collector

from services.contact_ledger.settings import LedgerSettings
from services.email_sender.settings import EmailSenderSettings
from services.scheduler.decisions import DECISIONS
from services.scheduler.intake.shapes import CLIENT_SHAPES
from services.scheduler.settings import SchedulerSettings
from services.sms_sender.settings import SmsSenderSettings
from services.whatsapp_sender.settings import WhatsAppSenderSettings
from shared.events import topics
from shared.events.configuration import CONFIG_KINDS
from shared.events.contact import CONTACT_FACT_TYPES, TASK_TYPES
from shared.events.debt import DEBT_EVENT_TYPES
from shared.events.handoff import HANDOFF_TYPES
from shared.events.hold import HOLD_TYPES
from shared.events.states import STATE_AFTER, STATES, rank
from shared.events.topics import TOPICS, Topic
from shared.sender.errors import ERRORS
from shared.settings import FILE_SUFFIX, ServiceSettings, SettingRow, describe
from shared.telemetry import metrics

SERVICES: tuple[type[ServiceSettings], ...] = (
    SchedulerSettings,
    SmsSenderSettings,
    EmailSenderSettings,
    WhatsAppSenderSettings,
    LedgerSettings,
)
METRIC_PREFIX = "regua_"
TYPES_BY_TOPIC: Sequence[tuple[Topic, Mapping[str, type[msgspec.Struct]]]] = (
    (topics.DEBT_EVENTS, DEBT_EVENT_TYPES),
    (topics.CONTACT_EVENTS, CONTACT_FACT_TYPES),
    (topics.CONTACT_TASKS_SMS, TASK_TYPES),
    (topics.CONTACT_TASKS_HANDOFF, HANDOFF_TYPES),
    (topics.CONTACT_HOLDS, HOLD_TYPES),
)


def settings_common() -> str:
    """Variables that every service reads with the same meaning and default."""
    own = {row.name for cls in SERVICES for row in own_rows(cls)}
    rows = [row for row in describe(ServiceSettings) if row.name not in own]
    return table(("variable", "default", "meaning"), map(setting, rows))


def settings_own(cls: type[ServiceSettings]) -> str:
    """Variables that one service adds or defaults differently."""
    return table(("variable", "default", "meaning"), map(setting, own_rows(cls)))


def settings_all() -> str:
    """Variables of single services, side by side."""
    readers: dict[SettingRow, list[str]] = {}
    for cls in SERVICES:
        for row in own_rows(cls):
            readers.setdefault(row, []).append(cls.service_name)
    rows = [(", ".join(names), *setting(row)) for row, names in readers.items()]
    return table(("read by", "variable", "default", "meaning"), rows)


def own_rows(cls: type[ServiceSettings]) -> list[SettingRow]:
    """The rows of `cls` that are not as in every service."""
    common = set(describe(ServiceSettings))
    return [row for row in describe(cls) if row not in common]


def setting(row: SettingRow) -> tuple[str, ...]:
    """One variable as cells."""
    note = f" (secret; also as `{row.name}{FILE_SUFFIX}`)" if row.secret else ""
    default = f"`{row.default}`" if row.default else "(empty)"
    return f"`{row.name}`", default, f"{row.meaning}{note}"


def topic_table() -> str:
    """Every topic, as `shared/events/topics.py` has it."""
    rows = [
        (
            f"`{topic.name}`" + (" (compacted)" if topic.compacted else ""),
            f"`{topic.key}`",
            ", ".join(topic.producers),
            ", ".join(topic.consumers),
            topic.meaning,
        )
        for topic in TOPICS
    ]
    return table(("topic", "key", "written by", "read by", "what it carries"), rows)


def event_types() -> str:
    """Every type that crosses Kafka, with the struct of its data."""
    rows = []
    for topic, types in TYPES_BY_TOPIC:
        name = topic.name.replace(".sms.", ".*.")
        for event_type, shape in types.items():
            state = STATE_AFTER.get(event_type)
            rows.append(
                (
                    f"`{event_type}`",
                    f"`{name}`",
                    source(shape),
                    state.name.lower() if state is not None else "",
                )
            )
    for kind, shape in CONFIG_KINDS.items():
        rows.append(
            (f"`config.{kind}.v1`", f"`{topics.PLATFORM_CONFIG.name}` (body)", source(shape), "")
        )
    return table(("type", "topic", "data", "contact moves to"), rows)


def client_events() -> str:
    """What client systems may post, with the fields of `data`."""
    rows = []
    for event_type, shape in CLIENT_SHAPES.items():
        fields = msgspec.structs.fields(shape)
        needed = ", ".join(f"`{field.name}`" for field in fields if field.required)
        others = ", ".join(f"`{field.name}`" for field in fields if not field.required)
        rows.append((f"`{event_type.removesuffix('.v1')}`", needed, others))
    return table(("type", "required in `data`", "optional"), rows)


def decision_table() -> str:
    """What people may decide about each kind of work item."""
    rows = [
        (f"`{kind}`", f"`{word}`", does)
        for kind, words in DECISIONS.items()
        for word, does in words.items()
    ]
    return table(("work item", "decision", "what follows"), rows)


def state_table() -> str:
    """The states of a contact, lowest rank first."""
    rows = [
        (
            str(rank(state)),
            f"`{state.name.lower()}`",
            row.balance_class,
            yes(row.final),
            yes(row.frees_slot),
            yes(row.counts_in_caps),
        )
        for state, row in STATES.items()
    ]
    return table(
        ("rank", "state", "counted as", "final", "step is free again", "counts in caps"), rows
    )


def metric_table() -> str:
    """Every metric of ours, as `shared/telemetry/metrics.py` declares it."""
    rows = []
    for metric in declared_metrics():
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # type: ignore[attr-defined]  # noqa: SLF001 - told nowhere else
        for family in metric.describe():  # type: ignore[attr-defined]
            suffix = "_total" if family.type == "counter" else ""
            rows.append((f"`{family.name}{suffix}`", family.type, labels, family.documentation))
    return table(("metric", "kind", "labels", "meaning"), rows)


def declared_metrics() -> list[Collector]:
    """The constants of the metrics module, in their order there."""
    return [
        value
        for name, value in vars(metrics).items()
        if name.isupper() and hasattr(value, "_labelnames")
    ]


def send_errors() -> str:
    """The closed list of what a refused provider call can be."""
    rows = [
        (
            f"`{kind.name}`",
            yes(row.retryable),
            row.fault.value,
            yes(row.spends_attempt),
            row.slows.value,
            yes(row.trips_breaker),
            yes(row.suppress_address),
        )
        for kind, row in ERRORS.items()
    ]
    head = (
        "error",
        "retry",
        "fault",
        "spends an attempt",
        "slows",
        "opens the breaker",
        "stop this address",
    )
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; pipes in cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def source(shape: type[msgspec.Struct]) -> str:
    """A struct, by name and module."""
    return f"`{shape.__name__}` in `{shape.__module__.rpartition('.')[2]}.py`"


def yes(value: bool) -> str:  # noqa: FBT001 - a cell
    """A truth as a cell."""
    return "yes" if value else ""


TABLES: dict[str, Callable[[], str]] = {
    "settings.common": settings_common,
    "settings.all": settings_all,
    **{
        f"settings.{cls.service_name}": (lambda cls=cls: settings_own(cls))  # type: ignore[misc]
        for cls in SERVICES
    },
    "topics": topic_table,
    "event_types": event_types,
    "client_events": client_events,
    "decisions": decision_table,
    "states": state_table,
    "metrics": metric_table,
    "send_errors": send_errors,
}
