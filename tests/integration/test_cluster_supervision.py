"""How ``tools/cluster.py`` looks after its programs, with small programs in their place."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.pausing import pause
from tests.support.program import alive
from tests.support.waiting import until

_spec = importlib.util.spec_from_file_location(
    "cluster", Path(__file__).parents[2] / "tools" / "cluster.py"
)
assert _spec is not None
assert _spec.loader is not None
cluster = importlib.util.module_from_spec(_spec)
sys.modules["cluster"] = cluster  # dataclasses look for their module there
_spec.loader.exec_module(cluster)

OBEDIENT = "import time; print('up', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]); {DEAF}"


def child(name: str, code: str = OBEDIENT, **more: Any) -> Any:
    return cluster.Child(name, [sys.executable, "-c", code], lambda: None, **more)


@contextlib.asynccontextmanager
async def running(folder: Path, *children: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a cluster of these, ready; end it when the block ends."""
    ready = asyncio.Event()
    whole = cluster.Cluster(folder, [], list(children))
    task = asyncio.get_running_loop().create_task(whole.run(ready.set))
    try:
        await asyncio.wait_for(ready.wait(), 20)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await whole.end()


async def test_a_program_that_dies_is_started_once_more_and_then_all_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frail, other = child("frail"), child("other")
    async with running(tmp_path, frail, other) as task:
        first = frail.process.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: frail.process.pid != first, 10, "a new process")
        os.kill(frail.process.pid, signal.SIGKILL)
        with pytest.raises(cluster.GaveUpError, match="frail ended again \\(SIGKILL\\)"):
            await asyncio.wait_for(asyncio.shield(task), 10)
        survivor = other.process.pid
        assert psutil.pid_exists(survivor)
    assert not psutil.pid_exists(survivor)
    assert "frail ended (SIGKILL); it is started again, once" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["deaf", "stopped", "with a deaf child"])
async def test_whatever_state_a_program_is_in_it_is_ended_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(cluster, "NODES_END_WITHIN_S", 1.0)
    one = child("one", {"deaf": DEAF, "stopped": OBEDIENT}.get(state, WITH_CHILD))
    log = tmp_path / "one.log"
    async with running(tmp_path, one):
        ups = 2 if state == "with a deaf child" else 1
        await until(lambda: log.exists() and log.read_text().count("up") == ups, 20, "it is up")
        family = [psutil.Process(one.process.pid)]
        family += family[0].children(recursive=True)
        assert len(family) == ups
        if state == "stopped":
            pause(one.process.pid)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    await until(lambda: not alive(family), 5, "all are gone")


async def test_a_program_that_ends_at_its_start_ends_the_start(tmp_path: Path) -> None:
    def not_ready() -> None:
        raise ConnectionError("never")

    broken = cluster.Child("broken", [sys.executable, "-c", "exit(3)"], not_ready)
    whole = cluster.Cluster(tmp_path, [child("fine")], [broken])
    with pytest.raises(cluster.GaveUpError, match="broken ended at its start"):
        await asyncio.wait_for(whole.run(lambda: None), 20)
    await whole.end()


async def test_a_program_that_is_never_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "READY_WITHIN_S", 0.3)

    def not_ready() -> None:
        raise ConnectionError("still loading")

    slow = cluster.Child("slow", [sys.executable, "-c", OBEDIENT], not_ready)
    whole = cluster.Cluster(tmp_path, [slow], [])
    with pytest.raises(cluster.GaveUpError, match=r"slow was not ready in 0\.3 s"):
        await whole.run(lambda: None)
    await whole.end()
    assert not psutil.pid_exists(slow.process.pid)


async def test_every_line_has_the_name_of_its_program_in_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = child("quiet", shown=lambda line: "up" not in line)
    async with running(tmp_path, child("loud"), quiet):
        logs = [tmp_path / "loud.log", tmp_path / "quiet.log"]
        await until(lambda: all(log.exists() and log.read_text() for log in logs), 20, "both")
    assert capsys.readouterr().out.splitlines() == ["loud    | up"]


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(cluster.GaveUpError, match=f"Port {port} is taken"):
            cluster.build(tmp_path / "cluster", port, "pool")
