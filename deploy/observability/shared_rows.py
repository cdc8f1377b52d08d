"""Rows that every service's dashboard has: the process, its doors, Kafka, the database.

In: the service's name, which is Prometheus's job. Out: rows.
"""

from deploy.observability.panels import Panel, Row
from deploy.observability.queries import in_an_hour, once, per_second, quantile, total


def process(service: str) -> Row:
    """How the process itself is."""
    job = f'job="{service}"'
    return Row(
        "Process",
        (
            Panel(
                title="Replicas that answer",
                meaning="Processes that Prometheus can read.",
                queries=((total("up", where=job), "up"),),
                kind="stat",
                width=4,
            ),
            Panel(
                title="Loops that are down",
                meaning="Components that stopped or crashed; each should be 1 all the time.",
                queries=((f"count(regua_component_up{{{job}}} == 0) or vector(0)", "down"),),
                kind="stat",
                width=4,
                warn_at=1,
            ),
            Panel(
                title="CPU",
                meaning="Seconds of CPU a second, by replica.",
                queries=(
                    (per_second("process_cpu_seconds_total", "instance", job), "{{instance}}"),
                ),
                unit="percentunit",
                width=8,
            ),
            Panel(
                title="Memory",
                meaning="Resident memory, by replica.",
                queries=(
                    (
                        total("process_resident_memory_bytes", "instance", job),
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
                        in_an_hour("regua_component_restarts_total", "component", job),
                        "{{component}}",
                    ),
                ),
            ),
            Panel(
                title="Configuration",
                meaning="Entries in memory, by kind, and records that could not be read.",
                queries=(
                    (once("regua_config_entries", "kind", job), "{{kind}}"),
                    (total("regua_config_unreadable_total", where=job), "unreadable"),
                ),
            ),
            Panel(
                title="Clock",
                meaning="Readings of the database clock that failed, a second.",
                queries=((per_second("regua_clock_refresh_failures_total", where=job), "failed"),),
            ),
        ),
    )


def doors(service: str) -> Row:
    """HTTP: what is asked, how fast it is answered, what is refused."""
    job = f'job="{service}"'
    failed = f'{job}, status=~"5.."'
    return Row(
        "HTTP",
        (
            Panel(
                title="Requests",
                meaning="Requests a second by route.",
                queries=(
                    (
                        per_second("regua_http_request_duration_seconds_count", "route", job),
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
                        quantile(0.99, "regua_http_request_duration_seconds", "route", job),
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
                        per_second("regua_http_request_duration_seconds_count", "route", failed),
                        "5xx {{route}}",
                    ),
                    (per_second("regua_http_refused_total", "reason", job), "refused: {{reason}}"),
                ),
                unit="reqps",
            ),
        ),
    )


def pipes(service: str) -> Row:
    """Kafka and PostgreSQL as this service sees them."""
    job = f'job="{service}"'
    return Row(
        "Kafka and PostgreSQL",
        (
            Panel(
                title="Behind",
                meaning="Records on each topic that this service has not worked through.",
                queries=((once("regua_kafka_lag_records", "topic", job), "{{topic}}"),),
            ),
            Panel(
                title="Records",
                meaning="Published (acknowledged by all replicas) and read, by topic.",
                queries=(
                    (
                        per_second("regua_kafka_published_records_total", "topic", job),
                        "out {{topic}}",
                    ),
                    (per_second("regua_kafka_fetched_records_total", "topic", job), "in {{topic}}"),
                ),
                unit="cps",
            ),
            Panel(
                title="Oldest unpublished row",
                meaning="How long the outbox, and the holds' own, have been waiting for Kafka.",
                queries=((once("regua_outbox_age_seconds", "outbox", job), "{{outbox}}"),),
                unit="s",
            ),
            Panel(
                title="Connections in use",
                meaning="Of the pool, by replica, and the most it opens.",
                queries=(
                    (
                        total("regua_postgres_pool_in_use_connections", "instance", job),
                        "{{instance}}",
                    ),
                    (once("regua_postgres_pool_max_connections", where=job), "most"),
                ),
            ),
            Panel(
                title="Dead letters",
                meaning="Records that nobody could read, by topic, within the last hour.",
                queries=(
                    (
                        in_an_hour("regua_dead_letters_total", "topic", job),
                        "{{topic}}",
                    ),
                ),
            ),
            Panel(
                title="Traces with errors",
                meaning="The newest of them; errors are traced whatever was sampled.",
                traceql=f'{{ resource.service.name = "{service}" && status = error }}',
                kind="table",
            ),
        ),
    )
