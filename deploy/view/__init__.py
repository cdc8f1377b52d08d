"""One page for a laptop: traces and metrics of the services, without any container.

In: spans over OTLP/HTTP (`POST /v1/traces`), and `GET /metrics` of each service every few seconds.
Out: a read-only page on 127.0.0.1, whose memory is bounded. `make up` starts it; in production the
same spans and metrics go to a collector, Tempo, Prometheus and Grafana.
"""
