"""Pausing a process of a test for real: it has stopped when the call returns."""

import os
import signal


def pause(pid: int) -> None:
    """Stop a child in mid-air and wait until every thread of it stands still.

    The signal alone is only a wish: on a busy machine a thread may still answer for a while.
    """
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
