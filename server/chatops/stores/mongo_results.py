"""Results of jobs: files and long summaries, in parts that fit into documents.

A result has a name of its own, which its job is given when it ends. What was written under another
name, by an attempt that lost its job, is never read, and deleted when the job ends.
"""

import asyncio
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.values import to_json

PART_BYTES = 4_000_000
INLINE_BYTES = 1_000_000
"""A summary that is longer is kept in parts."""

_FILE = "file"
_SUMMARY = "summary"


class Results:
    """The parts of results."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def put(
        self,
        job_id: str,
        result: str,
        summary: Mapping[str, Any] | None,
        files: Mapping[str, bytes] | None,
    ) -> str | None:
        """Write the files, and the summary if it is long; else return it as it is kept in the job.

        Raises:
            StoreUnavailableError: Not all could be written.
        """
        # Off the loop: this takes long enough to hold it up.
        kept, bodies = await asyncio.to_thread(_pack, summary, files)
        for of, name, body in bodies:
            count = max(-(-len(body) // PART_BYTES), 1)
            for part in range(count):
                document = {
                    "jobId": job_id,
                    "result": result,
                    "of": of,
                    "name": name,
                    "part": part,
                    "parts": count,
                    "body": body[part * PART_BYTES : (part + 1) * PART_BYTES],
                }
                await self._insert(document)
        return kept

    async def _insert(self, document: dict[str, Any]) -> None:
        await self._database.call(lambda: self._database["job_files"].insert_one(document), "save")

    async def file(self, job_id: str, result: str, name: str) -> bytes | None:
        """Return a file, or None."""
        return await self._body(job_id, result, _FILE, name)

    async def file_names(self, job_id: str, result: str) -> Sequence[str]:
        """Return the names of the files, sorted."""
        found = await self._database.find(
            "job_files",
            {"jobId": job_id, "result": result, "of": _FILE, "part": 0},
            fields={"name": 1},
        )
        return sorted(one["name"] for one in found)

    async def summary(self, job_id: str, result: str) -> str | None:
        """Return a long summary as JSON, or None where there is none."""
        body = await self._body(job_id, result, _SUMMARY, "")
        return None if body is None else body.decode()

    async def _body(self, job_id: str, result: str, of: str, name: str) -> bytes | None:
        which = {"jobId": job_id, "result": result, "of": of, "name": name}
        parts: list[bytes] = []
        count = 1
        while len(parts) < count:
            part = await self._database.first("job_files", which | {"part": len(parts)})
            if part is None:
                return None
            parts.append(part["body"])
            count = part["parts"]
        return await asyncio.to_thread(lambda: zlib.decompress(b"".join(parts)))

    async def delete(self, job_id: str, *, result: str) -> None:
        """Delete one result of a job, which it was not given."""
        await self._delete({"jobId": job_id, "result": result})

    async def delete_others(self, job_id: str, *, result: str) -> None:
        """Delete every result of a job but the one it was given."""
        await self._delete({"jobId": job_id, "result": {"$ne": result}})

    async def _delete(self, which: Mapping[str, Any]) -> None:
        await self._database.call(lambda: self._database["job_files"].delete_many(which), "save")


def _pack(
    summary: Mapping[str, Any] | None, files: Mapping[str, bytes] | None
) -> tuple[str | None, list[tuple[str, str, bytes]]]:
    """Return the summary if it is short, and everything else compressed."""
    text = None if summary is None else to_json(summary)
    long = text is not None and len(text.encode()) > INLINE_BYTES
    return None if long else text, list(_bodies(text if long else None, files or {}))


def _bodies(summary: str | None, files: Mapping[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    if summary is not None:
        yield _SUMMARY, "", zlib.compress(summary.encode())
    for name, body in files.items():
        yield _FILE, name, zlib.compress(body)
