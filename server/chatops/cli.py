"""The console script: serve, worker, run, import, download, doctor, schema."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from chatops import __version__, logs
from chatops.errors import AppError
from chatops.protocol.base import utc_now
from chatops.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script and return its exit code."""
    given = _parser().parse_args(argv)
    try:
        chosen = {
            k: v for k, v in vars(given).items() if k in Settings.model_fields and v is not None
        }
        settings = Settings(**chosen)
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]
        if given.command is _doctor:
            return _doctor_of_bad_settings(given, faults)
        print(*faults, sep="\n", file=sys.stderr)
        print("docs/configuration.md lists every setting.", file=sys.stderr)
        return 1
    logs.configure(settings.log_format, settings.log_level)
    try:
        return int(given.command(given, settings))
    except AppError as error:
        print(error, file=sys.stderr)
        return 1


def _fault(where: tuple[int | str, ...], words: str) -> str:
    # Some settings have a second name, and are reported under it.
    name = "_".join(str(part) for part in where).upper().removeprefix("CHATOPS_")
    return f"CHATOPS_{name}: {words}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chatops", description=__doc__)
    parser.add_argument("--version", action="version", version=f"chatops {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = verbs.add_parser("serve", help="serve the rooms")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="TCP port, 0 for a free one")
    serve.add_argument("--workers", type=int, help="server processes")
    serve.add_argument("--of-parent", type=int, help=argparse.SUPPRESS)
    serve.add_argument("--seat", type=int, nargs="+", default=(), help=argparse.SUPPRESS)
    serve.set_defaults(command=_serve)

    worker = verbs.add_parser("worker", help="run backtests for servers with CHATOPS_QUEUE=celery")
    worker.add_argument(
        "--slots", type=int, dest="backtest_workers", help="backtests at once in this process"
    )
    worker.set_defaults(command=_worker)

    run = verbs.add_parser("run", help='run one "/command" on a running server')
    run.add_argument("text", help='the command, e.g. "/run_backtest sma_crossover AAPL"')
    run.add_argument("--url", help="the server; default: the host and port of the settings")
    run.add_argument("--session", default="cli", help="session to run it in")
    run.add_argument("--name", default=None, help="who you are to the others")
    run.set_defaults(command=_run)

    imports = verbs.add_parser("import", help="import prices from CSV and Parquet files")
    imports.add_argument("files", nargs="+", type=Path, metavar="FILE")
    imports.add_argument("--symbol", help="symbol, if neither the file nor its name tells")
    imports.add_argument("--timeframe", help="bar length, if the times do not tell")
    imports.add_argument(
        "--allow-jumps", action="store_true", help="accept jumps that look like unadjusted splits"
    )
    imports.set_defaults(command=_import)

    downloads = verbs.add_parser("download", help="download prices (needs chatops[yahoo])")
    downloads.add_argument("symbols", nargs="+", metavar="SYMBOL")
    downloads.add_argument("--start", type=date.fromisoformat, default=date(2000, 1, 1))
    downloads.add_argument("--end", type=date.fromisoformat, default=utc_now().date())
    downloads.add_argument("--timeframe", default="1d", help="bar length; default 1d")
    downloads.set_defaults(command=_download)

    doctor = verbs.add_parser("doctor", help="check settings and connections, say what to do")
    doctor.add_argument("--json", action="store_true", help="print one JSON document")
    doctor.add_argument(
        "--connections", type=int, default=1_000, help="connections to have room for; default 1000"
    )
    doctor.set_defaults(command=_doctor)

    schema = verbs.add_parser("schema", help="print the contract with clients")
    schema.add_argument(
        "form", nargs="?", default="json", choices=("json", "asyncapi", "typescript")
    )
    schema.set_defaults(command=_schema)
    return parser


def _serve(given: argparse.Namespace, settings: Settings) -> int:
    from chatops import processes

    if settings.workers > 1:
        return processes.run(processes.serve_many(settings))
    return processes.run(processes.serve_one(settings, parent=given.of_parent, seat=given.seat))


def _worker(_given: argparse.Namespace, settings: Settings) -> int:
    from chatops import processes

    return processes.run(processes.work(settings))


def _run(given: argparse.Namespace, settings: Settings) -> int:
    from chatops.realtime.client import run_command

    url = given.url or f"http://{settings.host}:{settings.port}"
    return asyncio.run(run_command(url, given.session, given.text, given.name))


def _import(given: argparse.Namespace, settings: Settings) -> int:
    from chatops.backtests.market.importer import import_files

    done = import_files(
        given.files,
        settings.market_folder,
        symbol=given.symbol,
        timeframe=given.timeframe,
        allow_jumps=given.allow_jumps,
    )
    for one in done:
        print(one)
    return 0


def _download(given: argparse.Namespace, settings: Settings) -> int:
    from chatops.backtests.market.files import write_bars
    from chatops.backtests.market.yahoo import download, yahoo_origin

    for symbol in given.symbols:
        bars = download(symbol.upper(), given.start, given.end, given.timeframe)
        print(write_bars(bars, settings.market_folder, yahoo_origin()))
    return 0


def _doctor(given: argparse.Namespace, settings: Settings) -> int:
    logs.configure(settings.log_format, "warning")
    return asyncio.run(_examining(given, settings))


async def _examining(given: argparse.Namespace, settings: Settings) -> int:
    """Check everything, print it as it comes; 1 when something failed."""
    from chatops.doctor.examine import as_json, as_line, examine, summary

    findings = []
    async for finding in examine(settings, given.connections):
        findings.append(finding)
        if not given.json:
            print(as_line(finding), flush=True)
    print(as_json(findings) if given.json else summary(findings))
    return int(any(one.state == "failed" for one in findings))


def _doctor_of_bad_settings(given: argparse.Namespace, faults: Sequence[str]) -> int:
    from chatops.doctor.examine import as_json, as_line, bad_settings

    findings = bad_settings(faults)
    print(as_json(findings) if given.json else "\n".join(map(as_line, findings)))
    return 1


def _schema(given: argparse.Namespace, _settings: Settings) -> int:
    from chatops.protocol.schema import render

    print(render(given.form))
    return 0
