"""Makes the bundled prices again from the stocks of bokeh_sampledata 2026.1.

Run it with the ``stocks.csv.gz`` of that package's wheel (folder ``bokeh_sampledata/_data``)::

    python tools/vendor_prices.py stocks.csv.gz [FOLDER]

FOLDER is by default the one the package reads. Every other version of the file is refused: the
reference results of the tests belong to this one.
"""

import argparse
import hashlib
import sys
from pathlib import Path

from chatops.backtests.market.files import Origin
from chatops.backtests.market.importer import import_files
from chatops.backtests.market.names import BUNDLED_FOLDER

SOURCE_SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
SOURCE = "stocks.csv.gz of bokeh_sampledata 2026.1"
LICENCE = (
    "Public domain (Quandl WIKI Prices), recorded as source-verified in the licence ledger of"
    " bokeh_sampledata 2026.1"
)
RELEASED_AT = "2026-10-21T16:25:40+00:00"
"""Date of the source file: the Parquet files must not depend on the day they are made."""


def main() -> int:
    """Writes the files; 0 if the source was the right one."""
    parser = argparse.ArgumentParser(description="Makes the bundled prices again.")
    parser.add_argument("source", type=Path, help="stocks.csv.gz of bokeh_sampledata 2026.1")
    parser.add_argument("folder", type=Path, nargs="?", default=BUNDLED_FOLDER)
    arguments = parser.parse_args()
    if hashlib.sha256(arguments.source.read_bytes()).hexdigest() != SOURCE_SHA256:
        sys.stdout.write(f"{arguments.source} is not {SOURCE}.\n")
        return 1
    for done in import_files(
        [arguments.source],
        arguments.folder,
        timeframe="1d",
        origin=Origin(SOURCE, LICENCE, imported_at=RELEASED_AT),
    ):
        sys.stdout.write(f"{done.path.name}: {done.rows} bars, {done.content_hash}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
