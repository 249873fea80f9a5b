"""Settings that contradict each other or open a door, as the doctor sees them."""

from typing import Any

import pytest

from chatops.doctor.configured import check_settings
from chatops.settings import Settings

REDIS = {"redis_url": "redis://127.0.0.1/0"}
MONGO = {"mongodb_uri": "mongodb://127.0.0.1/chatops"}


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ({"workers": 2}, "failed", "REDIS_URL and MONGODB_URI not set"),
        ({"workers": 2, **MONGO, **REDIS}, "ok", "set: mongodb_uri, redis_url, workers"),
        ({"queue": "celery"}, "failed", "REDIS_URL and MONGODB_URI not set"),
        ({"queue": "celery", **MONGO, **REDIS}, "ok", "queue"),
        (REDIS, "warning", "each node has a log of its own"),
        (MONGO, "warning", "half a second late"),
        ({"cors_origins": "https://a.example,*"}, "warning", "every page on every site"),
        ({"cors_origins": "https://a.example"}, "ok", "set: cors_origins"),
        ({"host": "10.0.0.1"}, "warning", "nobody has to prove who they are"),
        ({"host": "::1"}, "ok", "set: host"),
        ({"rate_limit": "off"}, "warning", "one client can take the server for itself"),
        ({}, "ok", "all have their default"),
    ],
)
def test_one_line_says_what_is_so_and_what_to_do(
    given: dict[str, Any], state: str, words: str
) -> None:
    (found,) = check_settings(Settings(**given))
    assert found.state == state
    assert words in found.found
    assert bool(found.advice) == (state != "ok")


def test_a_missing_half_of_a_cluster_is_named() -> None:
    found = list(check_settings(Settings(workers=4, queue="celery", **REDIS)))  # type: ignore[arg-type]
    assert [one.state for one in found] == ["failed", "failed", "warning"]
    assert all("MONGODB_URI" in one.found for one in found)
    assert all("set MONGODB_URI," in (one.advice or "") for one in found[:2])
