"""Programs that are measured, each in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

SERVER = ("-m", "chatops", "serve", "--port", "0")
HELLO = ("-m", "benchmarks.peers.hello")
PROVIDER = ("-m", "benchmarks.peers.provider")
ONE_SYNC = ("-m", "benchmarks.peers.one_sync")

_LISTENS = re.compile(r"listens on (http://\S+)")
_ROOT = Path(__file__).parents[1]
_WARM_WITHIN_S = 60.0
_STOP_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Program:
    """A running program.

    Attributes:
        url: Where it listens.
        started_s: Seconds from the start of its process until its port was open.
        process: What it uses.
        log_path: What it writes to standard error.
        data_dir: Its data folder.
    """

    url: str
    started_s: float
    process: psutil.Process
    log_path: Path
    data_dir: Path

    def rss_mb(self) -> float:
        """Return the resident memory of its own process, without its workers, in MB (10^6)."""
        return float(self.process.memory_info().rss) / 1e6

    def cpu_s(self) -> float:
        """Return the processor seconds of its own process so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def mapped(self, packages: Sequence[str]) -> set[str]:
        """Return which of the packages have a shared object in its memory."""
        maps = Path(f"/proc/{self.process.pid}/maps").read_text()
        found = re.findall(r"-packages/([^/\s]+?)(?:\.libs)?/\S*\.so", maps)
        return {name.lstrip("_") for name in found} & set(packages)

    def wait_for_workers(self, count: int = 2) -> None:
        """Wait until its worker processes have loaded what they need.

        Raises:
            TimeoutError: They have not, within a minute.
        """
        self.wait_for_log('"worker_ready"', count)

    def wait_for_log(self, text: str, count: int) -> None:
        """Wait until its log has the text so many times.

        Raises:
            TimeoutError: It has not, within a minute.
        """
        deadline = time.monotonic() + _WARM_WITHIN_S
        while self.log_path.read_text().count(text) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {count} times {text}: {self.log_path.read_text()}")
            time.sleep(0.05)


@contextmanager
def running(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Program]:
    """Run a Python program that prints where it listens, with ``folder`` as its own.

    ``environment`` is what its environment has besides ours.
    """
    folder.mkdir(parents=True)
    log_path = folder / "log"
    with log_path.open("wb") as log:
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=_ROOT,
            text=True,
            start_new_session=True,  # Ctrl-C is for the benchmark, which ends its programs itself
            env={
                **os.environ,  # noqa: TID251 - a child needs PATH and HOME
                "CHATOPS_DATA_DIR": str(folder / "data"),
                "CHATOPS_LOG_FORMAT": "json",
                "CHATOPS_RATE_LIMIT": "off",
                **environment,
            },
        )
    try:
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        found = _LISTENS.search(child.stdout.readline())
        took_s = time.perf_counter() - began
        if found is None:
            raise RuntimeError(f"{arguments} did not start: {log_path.read_text()}")
        yield Program(found[1], took_s, psutil.Process(child.pid), log_path, folder / "data")
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
