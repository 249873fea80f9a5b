"""What this machine gives: the port, open files, price data."""

import asyncio
import errno
import importlib
import json
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

from chatops.backtests.market.catalogue import Catalogue
from chatops.errors import AppError
from chatops.findings import Finding, failed, ok, warning

_ANSWER_S = 2.0
_FILES_BESIDE_CONNECTIONS = 200
"""The store's files, pipes of worker processes, libraries, and connections to other servers."""


async def check_port(host: str, port: int) -> Finding:
    """Return whether the port is free, or a chatops server listens there already."""
    if port == 0:
        return ok("port", "the system will choose a free one")
    where = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return await asyncio.to_thread(_who_listens, host, port)
        if error.errno == errno.EACCES:
            return failed("port", f"this user may not listen on {where}", "Choose one above 1023.")
        return failed(
            "port",
            f"{host} is no address of this machine",
            "Set CHATOPS_HOST to one of its addresses; 127.0.0.1 is for this machine alone.",
        )
    return ok("port", f"{where} is free")


def _who_listens(host: str, port: int) -> Finding:
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound
    base = f"http://[{asked}]:{port}" if ":" in asked else f"http://{asked}:{port}"
    if _answer(f"{base}/healthz") != (200, "ok"):
        return failed(
            "port",
            f"{host}:{port} is taken by another program",
            "Choose another with CHATOPS_PORT, or end that program.",
        )
    status, word = _answer(f"{base}/readyz")
    if status == 200:
        return ok("port", f"a chatops server on {host}:{port} is up and ready")
    return warning(
        "port",
        f"a chatops server on {host}:{port} is up and not ready ({word or 'no answer'})",
        f"Ask {base}/readyz for the reason; its store is away, or it is ending.",
    )


def _answer(url: str) -> tuple[int, str]:
    """Return HTTP status and the word under ``status`` of a JSON answer; 0 and "" without one."""
    try:
        try:
            with urllib.request.urlopen(url, timeout=_ANSWER_S) as response:  # noqa: S310 - http
                status, body = response.status, response.read(10_000)
        except urllib.error.HTTPError as refusal:
            with refusal:
                status, body = refusal.code, refusal.read(10_000)
        return status, str(json.loads(body)["status"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def check_files(connections: int) -> Finding:
    """Compare the limit on open files with the connections that are wished for."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows
        return ok("open files", "this system sets no limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _FILES_BESIDE_CONNECTIONS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        limit = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,}"
        return ok("open files", f"{limit}, enough for {connections:,} connections")
    how = f"ulimit -n {needed}; in a unit of systemd LimitNOFILE={needed}"
    if hard != resource.RLIM_INFINITY and hard < needed:
        how += f"; the hard limit is {hard:,}, so root has to raise it (limits.conf)"
    return warning(
        "open files", f"{soft:,}, too few for {connections:,} connections", f"Raise it: {how}."
    )


def check_prices(folder: Path) -> Finding:
    """Return how many data sets there are, and which are broken."""
    try:
        found = Catalogue(folder).data_sets()
    except AppError as error:
        return failed("prices", error.message, error.hint or "")
    broken = [f"{one.path.name}: {one.problem}" for one in found if one.problem]
    own = sum(not one.bundled for one in found)
    count = f"{len(found)} data sets, {own} of them in {folder}"
    if broken:
        return warning(
            "prices",
            f"{count}; broken: {' '.join(broken)}",
            "Import them again: chatops import FILE.",
        )
    return ok("prices", count)
