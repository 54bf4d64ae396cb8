"""The partition of an id is stored knowledge: it may never change."""

from collections import Counter

import pytest

from perdure.core.partitions import partition_of


@pytest.mark.parametrize(
    ("instance_id", "expected"),
    [("a", 3), ("order-1", 15), ("@counter@k", 19), ("größe", 9), ("", 0)],
)
def test_known_ids_stay_where_they_are(instance_id: str, expected: int):
    assert partition_of(instance_id, 32) == expected


def test_one_partition_has_everything():
    assert {partition_of(f"i{n}", 1) for n in range(100)} == {0}


def test_ids_spread_over_all_partitions():
    counts = Counter(partition_of(f"order-{n}", 32) for n in range(32_000))
    assert len(counts) == 32
    assert 700 < min(counts.values()) <= max(counts.values()) < 1300


def test_half_a_character_has_a_partition_too():
    assert 0 <= partition_of("\ud800", 32) < 32
