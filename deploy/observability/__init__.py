"""What operators look at: dashboards (made here), alert rules with their runbooks, configuration.

In: the metrics of `shared/telemetry/metrics.py`. Out: `grafana/dashboards/*.json`, written
by `make docs`; everything else in this folder is read by Prometheus, Grafana, Alertmanager, Tempo
and the OpenTelemetry Collector as it is.
"""
