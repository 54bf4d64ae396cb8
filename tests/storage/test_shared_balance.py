"""Who should hold how many partitions."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from perdure.storage.shared.balance import Plan, balance
from perdure.storage.shared.tables import PartitionRow, ProcessRow, Sight

NOW = datetime(2026, 3, 18, tzinfo=UTC)


def sight(
    owners: list[int | None], running: list[int], *, dead: list[int] | None = None, asks: int | None = None
) -> Sight:
    processes = [ProcessRow(number, f"p{number}", True, True) for number in running]
    processes += [ProcessRow(number, f"p{number}", False, True) for number in dead or []]
    if asks is not None:
        processes.append(ProcessRow(asks, "asks", True, False))
    partitions = [PartitionRow(partition, 1, owner) for partition, owner in enumerate(owners)]
    return Sight(NOW, processes, partitions, False, False, False)


def settle(owners: list[int | None], running: list[int]) -> tuple[list[int | None], int]:
    """Let each do what it should until nothing changes; how many partitions changed their owner."""
    moves = 0
    for _ in range(10):
        before = list(owners)
        for process in running:
            plan = balance(sight(owners, running), process)
            for partition in plan.give_back:
                owners[partition] = None
            for partition in plan.claim:
                assert owners[partition] is None
                owners[partition] = process
                moves += 1
        if owners == before:
            break
    return owners, moves


@given(st.integers(1, 40), st.lists(st.integers(1, 9), min_size=1, max_size=6, unique=True), st.data())
def test_shares_differ_by_one_at_most(count: int, running: list[int], data: st.DataObject) -> None:
    owner = st.one_of(st.none(), st.sampled_from(running))
    owners = data.draw(st.lists(owner, min_size=count, max_size=count))
    owners, _ = settle(owners, running)
    held = [owners.count(process) for process in running]
    assert sum(held) == count
    assert max(held) - min(held) <= 1


@given(st.integers(1, 64), st.integers(1, 6))
def test_who_comes_takes_its_share_and_nothing_else_moves(count: int, others: int) -> None:
    running = list(range(1, others + 1))
    owners, _ = settle([None] * count, running)
    newest = others + 1
    owners, moves = settle(owners, [*running, newest])
    assert moves == owners.count(newest)


@given(st.integers(1, 64), st.integers(2, 6), st.data())
def test_who_goes_leaves_its_share_and_nothing_else_moves(count: int, processes: int, data: st.DataObject) -> None:
    running = list(range(1, processes + 1))
    owners, _ = settle([None] * count, running)
    gone = data.draw(st.sampled_from(running))
    left = owners.count(gone)
    owners, moves = settle([None if o == gone else o for o in owners], [p for p in running if p != gone])
    # One more where the larger shares end.
    assert left <= moves <= left + 1


def test_the_dead_are_buried_and_get_nothing() -> None:
    plan = balance(sight([None, None, 2, 2], [1], dead=[2]), 1)
    assert plan == Plan((2,), (0, 1), frozenset())


def test_who_only_asks_counts_for_nothing_and_takes_nothing() -> None:
    seen = sight([None, None], [1], asks=5)
    assert balance(seen, 5) == Plan()
    assert balance(seen, 1).claim == (0, 1)


def test_what_is_asked_back_already_is_not_asked_back_again() -> None:
    seen = sight([1] * 6, [1, 2])
    plan = balance(seen, 1)
    assert len(plan.give_back) == 3
    assert balance(seen, 1, plan.give_back) == Plan()
