"""The embedded broker: it answers, survives a kill with its data, and can be emptied."""

from deploy.local.kafka import Kafka, brokers


def test_a_broker_restarted_empty_is_another_cluster_on_the_same_port(own_kafka: Kafka) -> None:
    first, port = own_kafka.cluster_id, own_kafka.port
    own_kafka.restart_empty()
    assert own_kafka.port == port
    assert own_kafka.cluster_id != first
    assert brokers("127.0.0.1", port) == 1


def test_a_killed_broker_comes_back_with_its_cluster(own_kafka: Kafka) -> None:
    first = own_kafka.cluster_id
    own_kafka.kill()
    assert brokers("127.0.0.1", own_kafka.port) == 0
    own_kafka.restart_with_data()
    assert (own_kafka.folder / "kafka-data" / "meta.properties").read_text().count(first) == 1
