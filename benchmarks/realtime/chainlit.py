"""Chainlit in an environment of its own, made once and kept in the user's cache folder."""

import subprocess
import sys
from pathlib import Path

from benchmarks.realtime.programs import ROOT, Peer, ProgramError

VERSION = "2.12.0"

_INSTALL_WITHIN_S = 900.0


def chainlit_peer(cache: Path) -> Peer:
    """Return the echo app as a peer; install Chainlit first if it is not there yet.

    Args:
        cache: Folder that keeps environments between runs.

    Raises:
        ProgramError: It cannot be installed here.
    """
    home = cache / f"chainlit-{VERSION}"
    python = home / "bin" / "python"
    steps = (
        [sys.executable, "-m", "venv", str(home)],
        [str(python), "-m", "pip", "install", "--quiet", f"chainlit=={VERSION}"],
    )
    installed = home / ".installed"
    for step in () if installed.exists() else steps:
        try:
            subprocess.run(step, check=True, timeout=_INSTALL_WITHIN_S, capture_output=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise ProgramError(f"Chainlit {VERSION} could not be installed: {error}") from error
    installed.touch()
    host = ROOT / "benchmarks" / "peers" / "chainlit_host.py"
    return Peer("chainlit", [str(python), str(host)], {"CHAINLIT_APP_ROOT": "{folder}"})
