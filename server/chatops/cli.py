"""The console script: serve, run, import, download, schema."""

import argparse
import asyncio
import errno
import gc
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import structlog
from pydantic import ValidationError

from chatops import __version__, logs
from chatops.errors import AppError
from chatops.protocol.base import utc_now
from chatops.settings import Settings

log = structlog.get_logger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script and return its exit code."""
    given = _parser().parse_args(argv)
    try:
        chosen = {
            k: v for k, v in vars(given).items() if k in Settings.model_fields and v is not None
        }
        settings = Settings(**chosen)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            name = "_".join(str(part) for part in fault["loc"]).upper()
            print(f"CHATOPS_{name.removeprefix('CHATOPS_')}: {fault['msg']}", file=sys.stderr)
        print("docs/configuration.md lists every setting.", file=sys.stderr)
        return 1
    logs.configure(settings.log_format, settings.log_level)
    try:
        return int(given.command(given, settings))
    except AppError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chatops", description=__doc__)
    parser.add_argument("--version", action="version", version=f"chatops {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = verbs.add_parser("serve", help="serve the rooms")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="TCP port, 0 for a free one")
    serve.add_argument("--workers", type=int, help="server processes")
    serve.set_defaults(command=_serve)

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

    schema = verbs.add_parser("schema", help="print the contract with clients")
    schema.add_argument(
        "form", nargs="?", default="json", choices=("json", "asyncapi", "typescript")
    )
    schema.set_defaults(command=_schema)
    return parser


def _serve(_given: argparse.Namespace, settings: Settings) -> int:
    try:
        import uvloop
    except ImportError:  # not to be had on every platform
        return asyncio.run(_serving(settings))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serving(settings))


async def _serving(settings: Settings) -> int:
    """Serve until a signal ends it. The port opens when the store is ready."""
    from aiohttp import web

    from chatops.bootstrap import Node

    if settings.workers > 1:
        print(
            "Several server processes need a bus between them, which this version does not have. "
            "Serve with --workers 1.",
            file=sys.stderr,
        )
        return 1
    for name in ("redis_url", "mongodb_uri", "openai_api_key"):
        if getattr(settings, name) is not None:
            log.warning("setting_without_effect", setting=name, version=__version__)
    node = Node(settings)
    runner = web.AppRunner(node.app(), access_log=None, shutdown_timeout=1.0)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            print(_cannot_listen(settings, error), file=sys.stderr)
            return 1
        port = runner.addresses[0][1]
        print(f"chatops {__version__} listens on http://{settings.host}:{port}", flush=True)
        # What was made by now lives as long as the server, so the collector need not look at it;
        # with thousands of connections its full passes are what makes each further one dearer.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        await stop.wait()
        return 0
    finally:
        await runner.cleanup()


def _cannot_listen(settings: Settings, error: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {where} is taken by another program. Choose another with --port."
    if error.errno == errno.EACCES:
        return f"This user may not listen on {where}. Choose a port above 1023 with --port."
    return f"The server cannot listen on {where}. Check --host; 127.0.0.1 is this machine alone."


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


def _schema(given: argparse.Namespace, _settings: Settings) -> int:
    from chatops.protocol.schema import render

    print(render(given.form))
    return 0
