"""Processor time: of a process, and of the whole machine."""

import sys
import time

import psutil


def cpu_s(pid: int) -> float:
    """Return the processor time, user and system, that a process has used so far."""
    if sys.platform == "linux":
        # The process's own clock counts nanoseconds, /proc/<pid>/stat only hundredths of a
        # second. Its id is made as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~pid << 3) | 2)
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def machine_cpu_s() -> float:
    """Return the processor time that all processes, and the kernel for them, have used so far."""
    used = psutil.cpu_times()
    return float(sum(used[:3])) + sum(getattr(used, name, 0.0) for name in ("irq", "softirq"))
