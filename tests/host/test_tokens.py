"""The file of a server's tokens: what is kept, what is refused, and when a change is seen."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perdure.grpc_api.access import Role, Standing, bearer_token
from perdure.host.tokens import PREFIX, Token, TokenFile, TokenFileError, new_token, without_expired

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class Times:
    """The wall clock and the monotonic one, as the test says."""

    def __init__(self) -> None:
        self.wall = NOW
        self.monotonic = 100.0


def file_at(path: Path, times: Times) -> TokenFile:
    return TokenFile(path, now=lambda: times.wall, monotonic=lambda: times.monotonic)


def made(role: Role = Role.READER, *hubs: str, lifetime: timedelta | None = None) -> tuple[str, Token]:
    return new_token(role, hubs=hubs, label="", now=NOW, lifetime=lifetime)


def test_a_token_is_random_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "deep" / "tokens")
    (text, kept), (other, _) = made(), made()
    file.write([kept])
    assert text.startswith(PREFIX)
    assert len(text) > 50
    assert text != other
    assert text not in file.path.read_text(encoding="utf-8")
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert TokenFile(file.path).read() == (kept,)
    assert [entry.name for entry in file.path.parent.iterdir()] == ["tokens"]


def test_a_token_gives_its_role_in_its_hubs(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    (everywhere, first), (somewhere, second) = made(Role.WORKER), made(Role.ADMIN, "Orders", "b", "ORDERS")
    file.write([first, second])
    assert file.standing(everywhere) == Standing(Role.WORKER)
    standing = file.standing(somewhere)
    assert standing is not None
    assert standing == Standing(Role.ADMIN, frozenset({"orders", "b"}))
    assert [standing.sees(hub) for hub in ("orders", "B", "default")] == [True, True, False]
    for wrong in ("", somewhere[:-1], f"{somewhere}x", second.digest, "\udcff"):
        assert file.standing(wrong) is None


def test_a_token_ends_when_it_expires(tmp_path: Path) -> None:
    times = Times()
    file = file_at(tmp_path / "tokens", times)
    text, kept = made(lifetime=timedelta(hours=1))
    file.write([kept])
    assert file.standing(text) is not None
    times.wall = NOW + timedelta(hours=1)
    assert file.standing(text) is None
    assert without_expired([kept], times.wall) == []


def test_a_change_is_seen_within_a_second_and_not_looked_for_before(tmp_path: Path) -> None:
    times = Times()
    server, command = file_at(tmp_path / "tokens", times), TokenFile(tmp_path / "tokens")
    text, kept = made()
    assert server.standing(text) is None
    command.write([kept])
    assert server.standing(text) is None
    times.monotonic += 1
    assert server.standing(text) == Standing(Role.READER)
    command.write([])
    assert server.standing(text) is not None
    times.monotonic += 1
    assert server.standing(text) is None
    command.write([kept])
    times.monotonic += 1
    assert server.standing(text) is not None
    command.path.unlink()
    times.monotonic += 1
    assert server.standing(text) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"tokens": [{}]}', '{"tokens": [{"id": 1}]}', "\x00"])
def test_a_damaged_file_opens_nothing(tmp_path: Path, content: str) -> None:
    times = Times()
    file = file_at(tmp_path / "tokens", times)
    text, kept = made()
    file.write([kept])
    assert file.standing(text) is not None
    file.path.write_text(content, encoding="utf-8")
    times.monotonic += 1
    assert file.standing(text) is None
    with pytest.raises(TokenFileError, match="damaged"):
        file.read()


def test_a_role_that_there_is_not_is_damage(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    file.write([made()[1]])
    rows = json.loads(file.path.read_text(encoding="utf-8"))
    rows["tokens"][0]["role"] = "root"
    file.path.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(TokenFileError, match="damaged"):
        file.read()


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    file.write([made()[1]])
    file.path.chmod(0o640)
    with pytest.raises(TokenFileError, match="chmod 600"):
        file.read()


def test_links_are_not_followed(tmp_path: Path) -> None:
    real = TokenFile(tmp_path / "real")
    text, kept = made()
    real.write([kept])
    (tmp_path / "link").symlink_to(real.path)
    linked = TokenFile(tmp_path / "link")
    with pytest.raises(TokenFileError, match="links are not followed"):
        linked.read()
    assert linked.standing(text) is None
    linked.write([])
    assert not os.path.islink(linked.path)
    assert real.read() == (kept,)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None), ("", None), ("Bearer", None), ("Bearer ", None), ("Basic abc", None), ("abc", None),
        ("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("BEARER abc", "abc"),
    ],
)  # fmt: skip
def test_a_bearer_token_stands_in_its_header(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token


def test_a_digest_that_cannot_be_one_keeps_nobody_else_out(tmp_path: Path) -> None:
    file = file_at(tmp_path / "tokens", Times())
    text, kept = made()
    file.write([replace(kept, id="odd", digest="é"), kept])
    assert file.standing(text) is not None
    assert file.standing("é") is None
