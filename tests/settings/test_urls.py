import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.settings import urls

PASSWORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(PASSWORDS)
def test_any_password_survives_in_a_url(password: str) -> None:
    for url in ("postgresql+psycopg://me@db:5432/meters?a=b", "redis://host:6379/0"):
        assert urls.split_password(urls.join_password(url, password)) == (url, password)


@pytest.mark.parametrize(
    ("url", "without", "password"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0", None),
        ("redis://me@localhost/0", "redis://me@localhost/0", None),
        ("redis://:a@localhost/0", "redis://localhost/0", "a"),
        ("redis://me:a@localhost/0", "redis://me@localhost/0", "a"),
        ("rediss://me:a@b/c#d?e@localhost/0", "rediss://me@localhost/0", "a@b/c#d?e"),
        ("unix:///run/a@b:c.sock?db=0", "unix:///run/a@b:c.sock?db=0", None),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db", None),
        ("postgresql+psycopg://me:100%25@db/x", "postgresql+psycopg://me@db/x", "100%"),
        ("embedded", "embedded", None),
    ],
)
def test_the_password_is_found_wherever_it_ends(
    url: str, without: str, password: str | None
) -> None:
    assert urls.split_password(url) == (without, password)


def test_no_password_leaves_a_url_as_it_is() -> None:
    assert urls.join_password("redis://localhost/0", "") == "redis://localhost/0"


@pytest.mark.parametrize(
    "url",
    [
        "embedded",
        "redis://localhost",
        "redis://localhost:6379/0",
        "rediss://me@redis.lan:6380/15",
        "redis://[::1]:6379/0",
        "unix:///run/redis.sock?db=0",
        "redis+socket:///run/redis.sock?virtual_host=0",
        "redis+sentinel://10.0.0.1:26379,10.0.0.2,[fd00::3]:26380/house/0",
        "redis+sentinel://me@pi/house",
    ],
)
def test_urls_of_redis(url: str) -> None:
    assert urls.check_redis(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///esquirell.db",
        "sqlite:////srv/meters.db",
        "postgresql+psycopg://db/meters",
        "postgresql+psycopg://me@[::1]:5432/meters",
    ],
)
def test_urls_of_databases(url: str) -> None:
    assert urls.check_database(url) == url


def test_a_socket_is_written_as_redis_py_reads_it() -> None:
    celery = "redis+socket:///run/redis.sock?virtual_host=3"
    assert urls.for_redis(celery) == "unix:///run/redis.sock?db=3"
    assert urls.for_redis("redis://localhost/0") == "redis://localhost/0"


def test_a_url_of_sentinels_names_them_and_their_master() -> None:
    url = "redis+sentinel://me@10.0.0.1:26000,pi,[fd00::3]:26380/house/2"
    hosts = (("10.0.0.1", 26000), ("pi", 26379), ("fd00::3", 26380))
    assert urls.sentinels(url) == (hosts, "house", "redis://me@/2")


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://pi:26379",
        "redis+sentinel://pi:26379/house/first",
        "redis+sentinel://pi:26379,/house",
        "redis+sentinel://pi:port/house",
    ],
)
def test_a_url_of_sentinels_that_says_too_little_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="NAME-OF-THE-MASTER"):
        urls.check_redis(url)
