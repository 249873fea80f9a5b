"""Node for tests: it must be there, and so must the packages of the example."""

import shutil
import subprocess
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "client_examples" / "node"


def ready_node() -> str:
    """Return the path of ``node``; install the example's packages if they are missing.

    Raises:
        AssertionError: There is no node: the run fails, it does not skip.
    """
    node = shutil.which("node")
    assert node is not None, "Node 20 or newer is needed to test the Node client"
    if not (EXAMPLE / "node_modules" / "socket.io-client").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=EXAMPLE, check=True)
    return node
