"""Rows that every service's dashboard has: the process, its doors, Kafka, the database.

Out: rows with a placeholder for the service, which `of_service` fills in.
"""

from deploy.observability.panels import OF, SERVICE, Panel, Row
from deploy.observability.queries import in_an_hour, once, per_second, quantile, total

FAILED = f'{OF}, status=~"5.."'

# How the process itself is.
PROCESS = Row(
    "Process",
    (
        Panel(
            title="Replicas that answer",
            meaning="Processes that Prometheus can read.",
            queries=((total("up", where=OF), "up"),),
            kind="stat",
            width=4,
        ),
        Panel(
            title="Loops that are down",
            meaning="Components that stopped or crashed; each should be 1 all the time.",
            queries=((f"count(regua_component_up{{{OF}}} == 0) or vector(0)", "down"),),
            kind="stat",
            width=4,
            warn_at=1,
        ),
        Panel(
            title="CPU",
            meaning="Seconds of CPU a second, by replica.",
            queries=((per_second("process_cpu_seconds_total", "instance", OF), "{{instance}}"),),
            unit="percentunit",
            width=8,
        ),
        Panel(
            title="Memory",
            meaning="Resident memory, by replica.",
            queries=(
                (
                    total("process_resident_memory_bytes", "instance", OF),
                    "{{instance}}",
                ),
            ),
            unit="bytes",
            width=8,
        ),
        Panel(
            title="Loops started again",
            meaning="Loops that crashed and are not critical, within an hour, by component.",
            queries=(
                (
                    in_an_hour("regua_component_restarts_total", "component", OF),
                    "{{component}}",
                ),
            ),
        ),
        Panel(
            title="Configuration",
            meaning="Entries in memory, by kind, and records that could not be read.",
            queries=(
                (once("regua_config_entries", "kind", OF), "{{kind}}"),
                (total("regua_config_unreadable_total", where=OF), "unreadable"),
            ),
        ),
        Panel(
            title="Clock",
            meaning="Readings of the database clock that failed, a second.",
            queries=((per_second("regua_clock_refresh_failures_total", where=OF), "failed"),),
        ),
    ),
)


# HTTP: what is asked, how fast it is answered, what is refused.
DOORS = Row(
    "HTTP",
    (
        Panel(
            title="Requests",
            meaning="Requests a second by route.",
            queries=(
                (
                    per_second("regua_http_request_duration_seconds_count", "route", OF),
                    "{{route}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            title="Slowest of a hundred",
            meaning="99th percentile by route.",
            queries=(
                (
                    quantile(0.99, "regua_http_request_duration_seconds", "route", OF),
                    "{{route}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Failed and refused",
            meaning="Answers of 500 and above by route; requests refused by reason.",
            queries=(
                (
                    per_second("regua_http_request_duration_seconds_count", "route", FAILED),
                    "5xx {{route}}",
                ),
                (per_second("regua_http_refused_total", "reason", OF), "refused: {{reason}}"),
            ),
            unit="reqps",
        ),
    ),
)


# Kafka and PostgreSQL as this service sees them.
PIPES = Row(
    "Kafka and PostgreSQL",
    (
        Panel(
            title="Behind",
            meaning="Records on each topic that this service has not worked through.",
            queries=((once("regua_kafka_lag_records", "topic", OF), "{{topic}}"),),
        ),
        Panel(
            title="Records",
            meaning="Published (acknowledged by all replicas) and read, by topic.",
            queries=(
                (
                    per_second("regua_kafka_published_records_total", "topic", OF),
                    "out {{topic}}",
                ),
                (per_second("regua_kafka_fetched_records_total", "topic", OF), "in {{topic}}"),
            ),
            unit="cps",
        ),
        Panel(
            title="Oldest unpublished row",
            meaning="How long the outbox, and the holds' own, have been waiting for Kafka.",
            queries=((once("regua_outbox_age_seconds", "outbox", OF), "{{outbox}}"),),
            unit="s",
        ),
        Panel(
            title="Connections in use",
            meaning="Of the pool, by replica, and the most it opens.",
            queries=(
                (
                    total("regua_postgres_pool_in_use_connections", "instance", OF),
                    "{{instance}}",
                ),
                (once("regua_postgres_pool_max_connections", where=OF), "most"),
            ),
        ),
        Panel(
            title="Dead letters",
            meaning="Records that nobody could read, by topic, within the last hour.",
            queries=(
                (
                    in_an_hour("regua_dead_letters_total", "topic", OF),
                    "{{topic}}",
                ),
            ),
        ),
        Panel(
            title="Traces with errors",
            meaning="The newest of them; errors are traced whatever was sampled.",
            traceql=f'{{ resource.service.name = "{SERVICE}" && status = error }}',
            kind="table",
        ),
    ),
)
