"""Where a store URL says that a store lies, and what people see of it."""

from pathlib import Path

import pytest

from perdure.contracts.errors import StoreUnusable
from perdure.storage.places import FilePlace, MemoryPlace, ServerPlace, is_store_url, place_of, without_password


@pytest.mark.parametrize("url", ["sqlite:a/b.db", "sqlite:///a/b.db"])
def test_a_file_has_two_spellings(url: str) -> None:
    assert place_of(url) == FilePlace(Path("a/b.db"))


def test_an_absolute_file() -> None:
    assert place_of("sqlite:/var/x.db") == FilePlace(Path("/var/x.db"))


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_memory(url: str) -> None:
    assert place_of(url) == MemoryPlace()


@pytest.mark.parametrize("url", ["postgresql://u:p@h/d", "postgres://h", "postgresql:///d?host=/run"])
def test_a_server(url: str) -> None:
    assert place_of(url) == ServerPlace(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.db",
        "sqlite:",
        "sqlite://host/x",
        "memory:x",
        "postgresql:h",
        "mysql://x",
        "UseDevelopmentStorage=true",
        "app:s3cret",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=s3cret==",
    ],
)
def test_what_is_no_store(url: str) -> None:
    with pytest.raises(StoreUnusable, match="names no store") as raised:
        place_of(url)
    assert "s3cret" not in str(raised.value)
    assert not is_store_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:s3cret@db:5432/shop", "postgresql://app:…@db:5432/shop"),
        ("postgresql://app:s3@cr/et@db/shop", "postgresql://app:…@db/shop"),
        ("postgresql://app@db/shop", "postgresql://app@db/shop"),
        ("postgresql://db/shop?user=app&password=s3cret&sslmode=require",
         "postgresql://db/shop?user=app&password=…&sslmode=require"),
        ("postgresql://db/shop?sslpassword=s3cret", "postgresql://db/shop?sslpassword=…"),
    ],
)  # fmt: skip
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert "s3cret" not in repr(ServerPlace(url)) + str(ServerPlace(url))


def test_other_schemes_hide_what_may_be_secret() -> None:
    with pytest.raises(StoreUnusable) as raised:
        place_of("mysql://app:s3cret@db/shop")
    assert "s3cret" not in str(raised.value)
    assert "mysql:" in str(raised.value)
