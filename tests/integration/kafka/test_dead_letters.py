"""What nobody can read is kept whole, with its reason, and never without a limit."""

import pytest

from shared.kafka import DeadLetters, Producer, Record, StopPartition, admin


async def test_a_buried_record_keeps_everything_and_says_why(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    garbled = Record(topic, 2, 41, "key", {"ce_id": b"nonsense"}, b"\xff{", 0)
    letters = DeadLetters(producer)
    await letters.bury(garbled, "record has a malformed header", ValueError("x"))
    ends = await admin.end_offsets(kafka_bootstrap, [f"{topic}.dlq"])
    [target] = [target for target, end in ends.items() if end == 1]
    found = (await admin.records_at(kafka_bootstrap, {target: 0}))[target]
    assert (found.key, found.value) == ("key", b"\xff{")
    assert found.headers == {
        "ce_id": b"nonsense",
        "dlq_topic": topic.encode(),
        "dlq_partition": b"2",
        "dlq_offset": b"41",
        "dlq_reason": b"record has a malformed header",
        "dlq_error": b"ValueError",
    }


async def test_a_flood_of_poison_stops_the_partition_of_that_topic_only(
    producer: Producer, suffix: str
) -> None:
    letters = DeadLetters(producer, limit_per_hour=3)
    events = Record(f"contact.events.v1{suffix}", 0, 0, "k", {}, b"", 0)
    for _ in range(3):
        await letters.bury(events, "unreadable")
    with pytest.raises(StopPartition, match="3 records"):
        await letters.bury(events, "unreadable")
    await letters.bury(Record(f"debt.events.v1{suffix}", 0, 0, "k", {}, b"", 0), "unreadable")
    assert letters.buried_total == 4
