"""Several hosts of one hub under generated workloads and faults (reliability.md §1.3, §2), and what they must find.

What a seed does changes with the generator; what one finds is kept as a test beside the code that was wrong.
"""

import itertools

import pytest

from perdure.testing.simulate import Totals
from perdure.testing.simulation.hosts.run import run_hosts_seed
from support.planted_host_faults import HOST_PLANTS
from support.planted_offer_faults import OFFER_PLANTS

PLANTS = HOST_PLANTS | OFFER_PLANTS
SEEDS_MAX = 2_000
SEEN_IN = {
    "a buried process goes on claiming": 50,
    "a commit whose answer is lost counts as done": 2,
    "a commit whose answer is lost counts as not done": 41,
    "a renewal counts from its answer": 25,
    "a row is told of again after its inbox was read": 270,
    "a start over a living instance is written by whoever gets it": 19,
    "an episode that took what is gone ends the engine": 904,
    "no epoch is compared": 63,
    "nobody looks for arrivals without a hint": 1,
    "nobody looks for what is waited for": 1,
    "only the first arrival is taken": 1,
    "partitions are given back before the last commit": 20,
    "the owner is compared and not the epoch": 2,
    "the time of day tells what is due": 16,
    "what a refused instance dropped is gone": 86,
    "what has no row is not handed over": 2,
    "what was given up may still be done": 16,
    "a new owner is given what is offered": 33,
    "a recalled turn never comes back": 20,
    "a result is handed in twice": 4,
    "a result that cannot be handed in now is dropped": 14,
    "a turn runs on whatever past is stored": 332,
    "an answer waits for a hint": 4,
    "an owner takes back what is claimed": 12,
    "offers of activities go with their holder": 5,
    "offers of turns outlive their holder": 12,
    "offers stay when their instance has ended": 5,
    "the claims of a dead process stay": 23,
    "what a claimer gives back stays claimed": 30,
    "what has begun is offered": 7,
    "what is handed in counts without a claim": 30,
    "what is handed over is free for all": 14,
    "what one has claimed another claims": 4,
    "what others asked for counts as ones own": 4,
    "what runs is not handed over": 16,
    "what was taken back is not begun": 5,
}
"""Where the search for a planted mistake begins."""


SEEDS_FOR_EVERY_BLOW = 200
"""In so many seeds at most each kind of blow falls at least once."""


def test_seeds_of_several_hosts(first_of_hosts: int, count_of_hosts: int, totals: dict[str, Totals]) -> None:
    for seed in range(first_of_hosts, first_of_hosts + count_of_hosts):
        outcome = run_hosts_seed(seed)
        totals["hosts"].add(outcome)
        assert outcome.violation is None, (
            f"seed {seed}: {outcome.violation}; repeat it with "
            f"python -m perdure.testing.simulate --storage shared --seed {seed}"
        )


def test_blows_struck_in_the_middle_of_work(totals: dict[str, Totals]) -> None:
    total = totals["hosts"]
    kinds = ("takeovers", "crashes", "stops", "pauses", "cuts", "outages", "lost_answers", "unknown_answers")
    kinds += ("claims", "claimed_turns", "handed_over", "repeated_activities")
    while not all(total.sums[name] > 0 for name in kinds):
        assert total.seeds < SEEDS_FOR_EVERY_BLOW, total.sums
        total.add(run_hosts_seed(total.seeds))


def test_a_seed_of_several_hosts_repeats_itself() -> None:
    assert run_hosts_seed(3) == run_hosts_seed(3)


@pytest.mark.parametrize("hosts", [1, 3, 5])
def test_the_number_of_hosts_can_be_chosen(hosts: int) -> None:
    outcome = run_hosts_seed(1, hosts)

    assert (outcome.hosts, outcome.violation) == (hosts, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_a_mistake_planted_between_processes_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTS[name](monkeypatch)
    seeds = itertools.chain([SEEN_IN.get(name, 0)], range(SEEDS_MAX))

    found = next((violation for seed in seeds if (violation := run_hosts_seed(seed).violation) is not None), None)

    assert found is not None, f"{SEEDS_MAX} seeds did not find that {name}"
    assert "TypeError" not in found, f"the plant no longer fits the hub: {found}"
    assert "AttributeError" not in found, f"the plant no longer fits the hub: {found}"
