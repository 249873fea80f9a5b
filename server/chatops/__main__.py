"""``python -m chatops`` is the console script."""

from chatops.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
