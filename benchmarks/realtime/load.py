"""The load as a whole: clients spread over a few processes, so that they do not slow the server."""

import asyncio
import contextlib
import heapq
import os
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.realtime.programs import Program, Server, loader

_WITHIN_S = 300.0


class Load:
    """Clients of one server.

    Attributes:
        members: How many are connected.
    """

    def __init__(self, processes: list[Program]) -> None:
        self._processes = processes
        self._shares = [0] * len(processes)
        self.members = 0

    async def connect(
        self, members: int, *, rooms: int = 0, deflate: bool = False, at_once: int = 100
    ) -> float:
        """Connect so many clients more and return the seconds it took.

        Args:
            members: How many.
            rooms: Rooms they are spread over evenly; 0: they join none.
            deflate: Whether they offer per-message compression.
            at_once: Connections being opened at the same moment.

        Raises:
            ProgramError: Not all were let in.
        """
        orders = []
        for index, process in enumerate(self._processes):
            first = self.members + index
            numbers = range(first, self.members + members, len(self._processes))
            self._shares[index] += len(numbers)
            orders.append(
                process.order(
                    "connect",
                    numbers=[numbers.start, numbers.stop, numbers.step],
                    rooms=rooms,
                    deflate=deflate,
                    at_once=max(1, at_once // len(self._processes)),
                    within_s=_WITHIN_S,
                )
            )
        self.members += members
        return float(max(answer["wall_s"] for answer in await asyncio.gather(*orders)))

    async def quiet(self, for_s: float) -> None:
        """Return when no client has received a frame for ``for_s`` seconds."""
        await self._all("quiet", for_s=for_s)

    async def expect(self, events: int) -> None:
        """Return when each client has received so many events since it connected."""
        await asyncio.gather(
            *(
                process.order("expect", events=events * share, within_s=_WITHIN_S)
                for process, share in zip(self._processes, self._shares, strict=True)
            )
        )

    async def start_timing(self) -> None:
        """Begin to measure the latency of every delivery."""
        await self._all("time", on=True)

    async def stop_timing(self) -> dict[str, float]:
        """Return the latency since :meth:`start_timing`: median and 99th percentile, in µs."""
        answers = await self._all("time", on=False)
        took = list(heapq.merge(*(answer["sample_us"] for answer in answers)))
        return {"p50_us": took[len(took) // 2], "p99_us": took[len(took) * 99 // 100]}

    async def check(self, events: int) -> None:
        """Confirm that each client received the same ``events`` events of its room, in order.

        Raises:
            ProgramError: One did not.
        """
        answers = await self._all("check", events=events)
        for room in {room for answer in answers for room in answer["sums"]}:
            if len({answer["sums"].get(room) for answer in answers} - {None}) > 1:
                raise ValueError(f"members of {room} received different bytes")

    async def acks(self, times: int, window: int) -> float:
        """Let every client ask ``times`` times; return the seconds until all were answered."""
        answers = await self._all("acks", times=times, window=window, within_s=_WITHIN_S)
        return float(max(answer["wall_s"] for answer in answers))

    async def close(self) -> None:
        """Close every connection."""
        await self._all("close")

    async def _all(self, do: str, **how: Any) -> list[dict[str, Any]]:
        return await asyncio.gather(*(process.order(do, **how) for process in self._processes))


def socket_url(server: Server) -> str:
    """Return where clients connect."""
    return server.url.replace("http", "ws", 1) + "/ws/chatops/?EIO=4&transport=websocket"


@contextlib.asynccontextmanager
async def loading(server: Server) -> AsyncIterator[Load]:
    """Run the load against the server, in two processes if the machine has cores to spare."""
    count = 2 if (os.cpu_count() or 1) >= 4 else 1
    url = socket_url(server)
    async with contextlib.AsyncExitStack() as stack:
        programs = [
            await stack.enter_async_context(loader("realtime.members", url)) for _ in range(count)
        ]
        yield Load(programs)
