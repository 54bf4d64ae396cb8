"""What a presented key is worth, and to whom: the pure rules."""

import statistics
import time

import pytest

from perdure.http_api.access import KeyAccess, Level, OpenAccess, Verdict, presented_key
from perdure.http_api.keys import (
    DURABLE_SYSTEM_KEY,
    FunctionKeys,
    HostKeys,
    KeyPlace,
    KeyRing,
    Standing,
    SystemKeys,
    new_key,
)

RING = KeyRing(
    "the master", {"default": "the host", "partner": "another host"},
    {DURABLE_SYSTEM_KEY: "the durable", "other_extension": "the other"},
    {"hello": {"default": "hello's"}, "bye": {"default": "bye's"}},
)  # fmt: skip


def scope(query: str = "", method: str = "GET", **headers: str) -> dict:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "scheme": "http", "query_string": query.encode(), "headers": pairs}


@pytest.mark.parametrize(
    ("presented", "standing"),
    [
        ("the master", Standing.MASTER), ("the durable", Standing.DURABLE), ("the other", Standing.SYSTEM),
        ("the host", Standing.HOST), ("another host", Standing.HOST), ("hello's", Standing.FUNCTION),
        ("bye's", Standing.OTHER_FUNCTION), ("", Standing.UNKNOWN), ("the maste", Standing.UNKNOWN),
        ("The master", Standing.UNKNOWN), ("the master ", Standing.UNKNOWN), ("the mäster", Standing.UNKNOWN),
    ],
)  # fmt: skip
def test_a_key_is_known_by_its_exact_value(presented: str, standing: Standing):
    assert RING.standing(presented.encode(), "Hello") is standing


@pytest.mark.parametrize("place", [HostKeys(), SystemKeys(), FunctionKeys("hello"), FunctionKeys("never seen")])
def test_a_ring_without_a_key_that_it_has_not_is_the_same(place: KeyPlace):
    assert RING.without_key(place, "nobody's") is RING


def test_a_ring_without_a_master_key_opens_nothing_to_an_empty_key():
    assert KeyRing().standing(b"") is Standing.UNKNOWN
    assert KeyRing("").standing(b"") is Standing.UNKNOWN


def test_a_ring_is_completed_once():
    ring = KeyRing().completed(("Hello",))
    assert ring.master
    assert ring.durable
    assert list(ring.host) == ["default"]
    assert list(ring.keys_of("HELLO")) == ["default"]
    assert ring.completed(("hello",)) == ring
    values = [ring.master, ring.durable, *ring.host.values(), *ring.keys_of("hello").values()]
    assert len(set(values)) == 4


@pytest.mark.parametrize("attempt", range(20))
def test_a_new_key_needs_no_quoting(attempt: int):
    key = new_key()
    assert len(key) >= 53
    assert key.replace("-", "").replace("_", "").isalnum()


def test_the_header_wins_over_the_query():
    assert presented_key(scope("code=q", x_functions_key="h")) == b"h"
    assert presented_key(scope("a=b&CODE=q%2B")) == b"q+"
    assert presented_key(scope("code=")) == b""
    access = KeyAccess(lambda: RING)
    assert access.judge(scope("code=the+master", x_functions_key="wrong"), Level.ADMIN) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("level", "presented", "verdict"),
    [
        (Level.SYSTEM, "the durable", Verdict.ALLOWED), (Level.SYSTEM, "the master", Verdict.ALLOWED),
        (Level.SYSTEM, "the host", Verdict.FORBIDDEN), (Level.SYSTEM, "hello's", Verdict.FORBIDDEN),
        (Level.SYSTEM, "the other", Verdict.FORBIDDEN), (Level.SYSTEM, "nobody's", Verdict.UNKNOWN),
        (Level.SYSTEM, "", Verdict.UNKNOWN), (Level.ADMIN, "the master", Verdict.ALLOWED),
        (Level.ADMIN, "the durable", Verdict.FORBIDDEN), (Level.ADMIN, "", Verdict.UNKNOWN),
        (Level.ANONYMOUS, "", Verdict.ALLOWED),
    ],
)  # fmt: skip
def test_a_key_opens_the_routes_of_its_level(level: Level, presented: str, verdict: Verdict):
    assert KeyAccess(lambda: RING).judge(scope(x_functions_key=presented), level) is verdict


@pytest.mark.parametrize(
    ("level", "opened_by"),
    [
        (Level.ANONYMOUS, {"", "wrong", "the master", "the host", "hello's", "bye's", "the durable"}),
        (Level.FUNCTION, {"the master", "the host", "hello's"}),
        (Level.ADMIN, {"the master"}),
    ],
)
def test_a_function_is_opened_by_its_own_the_hosts_and_the_master_key(level: Level, opened_by: set[str]):
    access = KeyAccess(lambda: RING)
    keys = {"", "wrong", "the master", "the host", "hello's", "bye's", "the durable"}
    assert {key for key in keys if access.admits(scope(x_functions_key=key), level, "Hello")} == opened_by


@pytest.mark.slow
def test_the_time_of_a_comparison_tells_nothing():
    """A key that is wrong in its first byte takes as long as one that is wrong in its last (reliability.md S3)."""
    right = new_key()
    ring = KeyRing(right, {"default": new_key()}, {DURABLE_SYSTEM_KEY: new_key()})
    wrong = {"first": b"\0" + right[1:].encode(), "last": right[:-1].encode() + b"\0"}
    taken: dict[str, list[int]] = {"first": [], "last": []}
    for _ in range(20_000):
        for name, key in wrong.items():
            began = time.perf_counter_ns()
            ring.standing(key)
            taken[name].append(time.perf_counter_ns() - began)
    blocks = {
        name: [statistics.median(times[at : at + 1000]) for at in range(0, 20_000, 1000)]
        for name, times in taken.items()
    }
    medians = {name: statistics.median(times) for name, times in taken.items()}
    sigma = max(statistics.stdev(block) for block in blocks.values())
    assert abs(medians["first"] - medians["last"]) < 3 * max(sigma, 1)


OWN, LISTED, FOREIGN = "http://localhost:7071", "https://app.example", "https://evil.example"


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("host", ["localhost:7071", "127.0.0.1:7071"])
@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        (None, True),
        ("same", True),
        (LISTED, True),
        (FOREIGN, False),
        ("null", False),
        ("https://localhost:7071", False),
    ],
)
def test_without_keys_a_foreign_page_changes_nothing(kind: str, host: str, origin: str | None, passes: bool):
    said = {"host": host, "content_type": kind}
    if origin is not None:
        said["origin"] = f"http://{host}" if origin == "same" else origin
    access = OpenAccess({LISTED})
    for level in (Level.SYSTEM, Level.ADMIN):
        changing = access.judge(scope(method="POST", **said), level)
        assert changing is (Verdict.ALLOWED if passes else Verdict.FORBIDDEN)
        assert access.judge(scope(method="GET", **said), level) is Verdict.ALLOWED


def test_a_browser_that_sends_no_origin_still_says_where_a_request_comes_from():
    said = {"host": "localhost:7071", "sec_fetch_site": "cross-site"}
    assert OpenAccess().judge(scope(method="DELETE", **said), Level.SYSTEM) is Verdict.FORBIDDEN
