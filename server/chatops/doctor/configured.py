"""Settings that contradict each other, or are open to more than their owner may want."""

from collections.abc import Iterator

from chatops.findings import Finding, failed, ok, warning
from chatops.settings import Settings

CHECK = "settings"


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the settings taken together; one ok when nothing is."""
    found = [*_contradictions(settings), *_openings(settings)]
    if found:
        yield from found
        return
    given = sorted(settings.model_fields_set)
    yield ok(CHECK, f"set: {', '.join(given)}" if given else "all have their default")


def _contradictions(settings: Settings) -> Iterator[Finding]:
    redis, mongo = settings.redis_url is not None, settings.mongodb_uri is not None
    missing = " and ".join(
        name for name, there in (("REDIS_URL", redis), ("MONGODB_URI", mongo)) if not there
    )
    if settings.workers > 1 and missing:
        yield failed(
            CHECK,
            f"CHATOPS_WORKERS is {settings.workers}, and {missing} not set",
            f"Several processes share no SQLite file: set {missing}, or CHATOPS_WORKERS=1.",
        )
    if settings.queue == "celery" and missing:
        yield failed(
            CHECK,
            f"CHATOPS_QUEUE is celery, and {missing} not set",
            f"Celery workers need both: set {missing}, or CHATOPS_QUEUE=pool.",
        )
    if redis and not mongo:
        yield warning(
            CHECK,
            "REDIS_URL is set, and MONGODB_URI is not: each node has a log of its own",
            "Set MONGODB_URI, or leave REDIS_URL out.",
        )
    if mongo and not redis:
        yield warning(
            CHECK,
            "MONGODB_URI is set, and REDIS_URL is not: other nodes hear of messages half a second "
            "late, and of progress not at all",
            "Set REDIS_URL if there is more than one node.",
        )


def _openings(settings: Settings) -> Iterator[Finding]:
    if "*" in settings.cors_origins:
        yield warning(
            CHECK,
            "CHATOPS_CORS_ORIGINS is *: every page on every site may act for its visitors",
            "Name the origins of your pages, separated by commas.",
        )
    if settings.host not in ("127.0.0.1", "::1", "localhost"):
        yield warning(
            CHECK,
            f"CHATOPS_HOST is {settings.host}, and nobody has to prove who they are",
            "Keep the port inside your network, or behind a proxy that authenticates.",
        )
    if settings.rate_limit == "off":
        yield warning(
            CHECK,
            "CHATOPS_RATE_LIMIT is off: one client can take the server for itself",
            "Switch it on, except for load tests.",
        )
