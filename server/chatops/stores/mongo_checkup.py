"""Whether the MongoDB of the settings can be the store, and how fast it is."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import (
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from chatops.findings import Finding, failed, ok, warning, without_secrets
from chatops.stores.mongo_errors import newer
from chatops.stores.mongo_schema import SCHEMA_VERSION

CHECK = "mongodb"
COLLECTION = "checkup"

_LIMIT_MS = 3_000
_OLDEST_TRIED = (6, 0)
_CLOCKS_MAY_DIFFER_S = 1.0
_SLOW_WRITE_MS = 100.0
_UNAUTHORIZED, _WRONG_PASSWORD = 13, 18

Client = MongoClient[dict[str, Any]]


async def check_mongo(uri: str) -> list[Finding]:
    """Connect, write one document for the majority and the journal, and take it away again.

    Takes some seconds at most when nobody answers. Raises nothing for what a server can do wrong.
    """
    return await asyncio.to_thread(_check, uri)


def _check(uri: str) -> list[Finding]:
    where = without_secrets(uri)
    try:
        client = Client(
            uri,
            appname="chatops doctor",
            serverSelectionTimeoutMS=_LIMIT_MS,
            connectTimeoutMS=_LIMIT_MS,
            socketTimeoutMS=_LIMIT_MS,
        )
    except (PyMongoError, ValueError):
        return [_malformed(where)]
    with client:
        try:
            return _examine(client, where)
        except ServerSelectionTimeoutError:
            return [_why_no_primary(uri, where)]
        except OperationFailure as error:
            return [_refused(where, error)]
        except ConfigurationError:
            return [_malformed(where)]
        except PyMongoError as error:
            return [
                failed(
                    CHECK,
                    f"{where} broke off ({type(error).__name__})",
                    "Look into the log of mongod.",
                )
            ]


def _examine(client: Client, where: str) -> list[Finding]:
    database = client.get_default_database()
    client.admin.command("ping")
    began = time.perf_counter()
    hello = client.admin.command("hello")
    took_ms = (time.perf_counter() - began) * 1000
    clock = _clock(hello["localTime"].replace(tzinfo=UTC), took_ms)
    if (group := hello.get("setName")) is None:
        return [_standalone(where)]
    version = str((client.admin.command("buildInfo"))["version"])
    found = f"{where} answers in {took_ms:.1f} ms, version {version}, replica set {group}"
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_TRIED:
        oldest = ".".join(map(str, _OLDEST_TRIED))
        first = warning(CHECK, found, f"Upgrade it: the oldest that chatops is tried on: {oldest}.")
    else:
        first = ok(CHECK, found)
    return [first, _write(database), clock, _schema(database)]


def _write(database: Database[dict[str, Any]]) -> Finding:
    check = f"{CHECK} write"
    durable = WriteConcern("majority", wtimeout=_LIMIT_MS, j=True)
    collection = database.get_collection(COLLECTION, write_concern=durable)
    mark = ObjectId()
    began = time.perf_counter()
    try:
        collection.insert_one({"_id": mark, "by": "chatops doctor"})
        took_ms = (time.perf_counter() - began) * 1000
        collection.delete_one({"_id": mark})
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            return failed(
                check,
                f"the user may not write to the database {database.name}",
                f"Give the user the role readWrite on {database.name}.",
            )
        return failed(
            check,
            f"a write was not confirmed (error {error.code})",
            "Check that most members of the replica set are up: rs.status().",
        )
    found = f"on the disks of the majority in {took_ms:.1f} ms"
    if took_ms > _SLOW_WRITE_MS:
        return warning(check, found, "Every ack waits for this: give MongoDB a faster disk.")
    return ok(check, found)


def _schema(database: Database[dict[str, Any]]) -> Finding:
    check = f"{CHECK} schema"
    found = database["meta"].find_one({"_id": "schema"})
    if found is None:
        return ok(check, f"the database {database.name} is new")
    version = found["version"]
    if version > SCHEMA_VERSION:
        refusal = newer(database.name, version, SCHEMA_VERSION)
        return failed(check, refusal.message, refusal.hint or "")
    live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
    nodes = database["nodes"].count_documents(live)
    return ok(check, f"schema {version} in the database {database.name}, {nodes} servers live")


def _clock(server_time: datetime, took_ms: float) -> Finding:
    """Compare the server's clock with ours in the middle of the question."""
    check = f"{CHECK} clock"
    apart_s = (server_time - datetime.now(UTC)).total_seconds() + took_ms / 2000
    found = f"{abs(apart_s):.2f} s {'ahead of' if apart_s > 0 else 'behind'} this machine"
    if abs(apart_s) > _CLOCKS_MAY_DIFFER_S:
        return warning(check, found, "Let NTP set the clocks of both machines.")
    return ok(check, found)


def _why_no_primary(uri: str, where: str) -> Finding:
    """Ask the named servers one by one, without their set, why none can be written to."""
    try:
        parsed = parse_uri(uri, validate=False)
    except (PyMongoError, ValueError):
        return _malformed(where)
    options = {key.lower(): value for key, value in parsed["options"].items()}
    tls = {key: value for key, value in options.items() if key.startswith("tls")}
    for host, port in parsed["nodelist"]:
        hello = _hello(host, port or 27017, tls)
        if hello is None:
            continue
        if hello.get("isreplicaset"):
            return failed(
                CHECK,
                f"{host}:{port} runs, but its replica set was never initiated",
                "Run rs.initiate() in mongosh once.",
            )
        group, wished = hello.get("setName"), options.get("replicaset")
        if group is None:
            return _standalone(where)
        if wished not in (None, group):
            return failed(
                CHECK,
                f'{host}:{port} belongs to the replica set "{group}", not to "{wished}"',
                f"Write replicaSet={group} into MONGODB_URI.",
            )
        return failed(
            CHECK,
            f"the replica set {group} has no primary that can be reached from here",
            "Check that most members are up, and that this machine can resolve and reach the "
            f"names in rs.conf(): {', '.join(hello.get('hosts', []))}.",
        )
    return failed(
        CHECK,
        f"{where} does not answer within {_LIMIT_MS / 1000:g} s",
        "Start mongod, or check host, port and TLS in MONGODB_URI and the firewall.",
    )


def _hello(host: str, port: int, tls: dict[str, Any]) -> dict[str, Any] | None:
    client = Client(host, port, directConnection=True, serverSelectionTimeoutMS=1_000, **tls)
    with client:
        try:
            return client.admin.command("hello")
        except PyMongoError:
            return None


def _malformed(where: str) -> Finding:
    return failed(
        CHECK,
        f"the address {where} is malformed, or names no database",
        "Write MONGODB_URI as mongodb://user:password@host:27017/chatops?replicaSet=rs0, and "
        "special characters in the password as %XX.",
    )


def _standalone(where: str) -> Finding:
    return failed(
        CHECK,
        f"{where} is a single server without a replica set",
        "Start mongod with --replSet rs0 and run rs.initiate() once; one member is enough.",
    )


def _refused(where: str, error: OperationFailure) -> Finding:
    if error.code in (_WRONG_PASSWORD, _UNAUTHORIZED):
        return failed(
            CHECK,
            f"{where} refuses this user and password",
            "Check both in MONGODB_URI, and authSource: the database in which the user was made.",
        )
    return failed(CHECK, f"{where} refuses (error {error.code})", "Look into the log of mongod.")
