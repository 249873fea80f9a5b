"""The same server, except that each entry is a transaction, and so a sync, of its own."""

import sys
from functools import partial

from chatops import bootstrap, cli
from chatops.stores.sqlite import SqliteStore


def main() -> int:
    """Serve as ``chatops serve`` does."""
    # The server has no setting for this: nobody but a benchmark should want it.
    vars(bootstrap)["SqliteStore"] = partial(SqliteStore, batch_limit=1)
    return cli.main(["serve", "--port", "0"])


if __name__ == "__main__":
    sys.exit(main())
