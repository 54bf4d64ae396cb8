"""What the benchmark's command line chooses."""

import pytest
from benchmarks.arguments import PEERS, read_arguments
from benchmarks.job import Job, Part, Workload, read_job
from benchmarks.plan import make_plan


def test_everything_is_measured_three_times_by_default() -> None:
    arguments = read_arguments([])
    assert arguments.only == frozenset(Workload)
    assert arguments.peers == PEERS
    assert arguments.rounds == 3
    assert not arguments.keep
    assert {measurement.workload for measurement in make_plan(arguments)} == set(Workload)


def test_workloads_and_peers_can_be_chosen() -> None:
    arguments = read_arguments(["--only", "c,A", "--peers", "restate", "--rounds", "5"])
    plan = make_plan(arguments)
    assert [measurement.key for measurement in plan] == ["A 3,000", "C 200"]
    assert all(set(measurement.sizes) == {"perdure", "restate"} for measurement in plan)


def test_perdure_can_be_measured_alone() -> None:
    plan = make_plan(read_arguments(["--peers", "none", "--only", "B"]))
    assert [dict(measurement.sizes) for measurement in plan] == [{"perdure": 1000}, {"perdure": 10_000}]


def test_long_adds_the_largest_sizes_for_perdure_only() -> None:
    plan = make_plan(read_arguments(["--long", "--only", "B,E", "--peers", "restate,dbos-sqlite"]))
    assert [m.key for m in plan] == ["B 1,000", "B 10,000", "B 100,000", "E 2,000", "E 5,000", "E 50,000"]
    assert set(plan[-1].sizes) == {"perdure"}


def test_what_works_through_grpc_is_measured_apart() -> None:
    plan = make_plan(read_arguments(["--only", "A,C", "--peers", "serve-official,memory-official,grpc-empty"]))
    assert [m.key for m in plan] == ["A 3,000", "A gRPC 1,000", "C 200", "C gRPC 200"]
    assert set(plan[1].sizes) == {"serve-official", "memory-official", "grpc-empty"}
    # What has no engine has no latency either.
    assert set(plan[3].sizes) == {"serve-official", "memory-official"}


def test_quick_is_one_round() -> None:
    assert read_arguments(["--quick"]).rounds == 1


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["--only", "Z"], "'Z'"),
        (["--peers", "temporal"], "'temporal'"),
        (["--rounds", "0"], "not 0"),
        (["--profile", "D"], "not D"),
    ],
)
def test_a_wrong_argument_is_named(texts: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_arguments(texts)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_a_job_is_read_as_it_was_written(tmp_path) -> None:
    job = Job("restate", Workload.CRASH, 20, tmp_path, Part.AFTER, 1.5, tmp_path / "stats")
    assert read_job(job.to_text()) == job
