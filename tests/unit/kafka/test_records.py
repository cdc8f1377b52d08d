"""The one partitioner: stable for ever, or every debtor moves."""

from collections import Counter
from uuid import UUID

from shared.kafka.records import partition_of


def test_partitions_are_those_of_crc32_for_ever() -> None:
    # Figures written down once: CRC-32 of the UTF-8 key, modulo the count.
    assert partition_of("123456789", 2**32) == 0xCBF43926  # the check value of CRC-32
    assert partition_of("7c9e6679-7425-40de-944b-e07fc1f90ae7", 12) == 0
    assert partition_of("ação", 7) == partition_of("ação", 7)


def test_random_keys_spread_evenly() -> None:
    keys = [
        str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))
        for number in range(12_000)
    ]
    counts = Counter(partition_of(key, 12) for key in keys)
    assert len(counts) == 12
    assert max(counts.values()) < 1.15 * min(counts.values())
