"""All checks, one after another, each within a time limit."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from chatops.assistant.checkup import check_assistant
from chatops.doctor.configured import check_settings
from chatops.doctor.installed import check_libraries, check_python
from chatops.doctor.machine import check_files, check_port, check_prices
from chatops.findings import Finding, failed
from chatops.settings import Settings
from chatops.stores.sqlite_checkup import check_folder, check_sqlite

CONNECTIONS = 1_000
"""Connections that the limits must allow when nobody says how many."""

_LONGEST_S = 90.0

Answer = Finding | Iterable[Finding]
Check = Callable[[], Answer | Awaitable[Answer]]


async def examine(settings: Settings, connections: int = CONNECTIONS) -> AsyncIterator[Finding]:
    """Yield the findings as they come. A check that fails itself is a finding too."""
    for name, check in _checks(settings, connections):
        try:
            async with asyncio.timeout(_LONGEST_S):
                answer = check()
                if isinstance(answer, Awaitable):
                    answer = await answer
            found = [answer] if isinstance(answer, Finding) else list(answer)
        except TimeoutError:
            found = [failed(name, f"no end in {_LONGEST_S:g} s", "Run it again; is it busy?")]
        except Exception as error:  # noqa: BLE001 - the other checks are wanted all the more
            # The words of an error of a driver may hold a password; its kind does not.
            kind = type(error).__name__
            found = [failed(name, f"could not be checked ({kind})", "Report this as a fault.")]
        for one in found:
            yield one


def _checks(settings: Settings, connections: int) -> list[tuple[str, Check]]:
    # The adapters bring their libraries with them, so only those that are used are imported.
    checks: list[tuple[str, Check]] = [
        ("settings", lambda: check_settings(settings)),
        ("python", check_python),
        ("libraries", check_libraries),
        ("data folder", lambda: check_folder(settings.data_dir)),
        ("prices", lambda: asyncio.to_thread(check_prices, settings.market_folder)),
        ("port", lambda: check_port(settings.host, settings.port)),
        ("open files", lambda: check_files(connections)),
    ]
    key, address = settings.openai_api_key, settings.openai_base_url
    checks.append(("assistant", lambda: check_assistant(key, address, settings.models_file)))
    if settings.queue == "pool":
        from chatops.workers.pool_checkup import check_worker

        memory_mb, folder = settings.backtest_memory_mb, settings.market_folder
        checks.append(("worker process", lambda: check_worker(folder, memory_mb)))
    if settings.mongodb_uri is None:
        checks.insert(4, ("sqlite", lambda: check_sqlite(settings.data_dir)))
    else:
        from chatops.stores.mongo_checkup import check_mongo

        uri = settings.mongodb_uri.get_secret_value()
        checks.append(("mongodb", lambda: check_mongo(uri)))
    if settings.redis_url is not None:
        from chatops.cluster.redis_checkup import check_redis

        url, prefix = settings.redis_url.get_secret_value(), settings.cluster_prefix
        checks.append(("redis", lambda: check_redis(url, prefix)))
        if settings.queue == "celery":
            from chatops.workers.celery_checkup import check_celery

            checks.append(("celery", lambda: asyncio.to_thread(check_celery, url, prefix)))
    return checks


def bad_settings(faults: Sequence[str]) -> list[Finding]:
    """Return the findings of settings that cannot be read, of which there is nothing to check."""
    advice = "Correct it; docs/configuration.md lists every setting."
    return [failed("settings", fault, advice) for fault in faults]


def as_line(finding: Finding) -> str:
    """Return the finding as one line of text."""
    advice = f" → {finding.advice}" if finding.advice else ""
    return f"{finding.state:<8} {finding.check:<15} {finding.found}{advice}"


def as_json(findings: Sequence[Finding]) -> str:
    """Return everything as one JSON document."""
    rows = [
        {"check": one.check, "state": one.state, "found": one.found, "advice": one.advice}
        for one in findings
    ]
    healthy = all(one.state != "failed" for one in findings)
    return json.dumps({"ok": healthy, "checks": rows}, indent=2, ensure_ascii=False)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line of text."""
    counts = {state: sum(one.state == state for one in findings) for state in ("warning", "failed")}
    if not any(counts.values()):
        return f"{len(findings)} checks, nothing to do"
    return f"{len(findings)} checks: {counts['failed']} failed, {counts['warning']} warnings"
