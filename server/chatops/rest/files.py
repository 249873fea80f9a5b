"""Files over HTTP: prices and strategies that somebody drops on a session."""

from collections.abc import Sequence

from chatops.access.permissions import Action, Target, authorize
from chatops.backtests.ports import PriceFile
from chatops.backtests.strategies.files import read_strategies
from chatops.errors import BadParameterError
from chatops.protocol.base import MAX_PAYLOAD_BYTES
from chatops.rest.bodies import FileImported, FileQuery, ImportedPrices, ImportedStrategy
from chatops.rest.errors import TooLargeError
from chatops.rest.operations import Call, Operation
from chatops.rest.services import Services
from chatops.sessions.entries import notice

_AT_ONCE = 4
"""Files that are held in memory, of which one is imported at a time."""

_LONGEST_NAME_BYTES = 200
_TOLD = 10


class Files:
    """The operation on files."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Return it."""
        return [
            Operation(
                "POST",
                "/api/v1/chatops-advanced/session/{id}/files",
                "Sessions",
                "Import a file of prices or of strategies, and tell the session",
                self.import_file,
                FileImported,
                FileQuery,
                bytes,
                (400, 404, 409, 502),
                max_bytes=self._services.max_file_bytes,
                at_once=_AT_ONCE,
            )
        ]

    async def import_file(self, call: Call) -> FileImported:
        """Check all of a file and bring it in, or nothing of it; the room is told what is new."""
        query: FileQuery = call.query
        session = await self._services.sessions.get(call.part(), call.person)
        name = _checked_name(query.name)
        authorize(call.person, Action.IMPORT_FILE, Target(session_id=session.id, name=name))
        if not call.body:
            raise BadParameterError(f"{name} is empty.", "Choose a file with something in it.")
        prices: list[ImportedPrices] = []
        strategies: list[ImportedStrategy] = []
        if name.lower().endswith(".json"):
            strategies = await self._strategies(call, name)
            what = _listed([f"{one.name} ({one.type})" for one in strategies])
        else:
            prices = await self._prices(call, name)
            what = _listed([_told(one) for one in prices])
        told = f"{call.person.name} imported {what} from “{name}”."
        if {one.state for one in prices} | {one.state for one in strategies} != {"unchanged"}:
            await self._services.sessions.append(session.id, notice(session.id, call.person, told))
        else:
            told = f"All of “{name}” is here already: {what}."
        return FileImported(
            session_id=session.id, message=told, prices=prices, strategies=strategies
        )

    async def _prices(self, call: Call, name: str) -> list[ImportedPrices]:
        query: FileQuery = call.query
        file = PriceFile(
            name,
            call.body,
            symbol=query.symbol.upper() if query.symbol else None,
            timeframe=query.timeframe,
            allow_jumps=query.allow_jumps,
            replace=query.replace,
        )
        done = await self._services.prices.import_prices(file)
        return [ImportedPrices.model_validate(one) for one in done]

    async def _strategies(self, call: Call, name: str) -> list[ImportedStrategy]:
        if len(call.body) > MAX_PAYLOAD_BYTES:
            raise TooLargeError(
                f"{name} is longer than {MAX_PAYLOAD_BYTES // 1024} KiB.", "Split it."
            )
        book = self._services.book
        drafted = read_strategies(book, call.person, name, call.body)
        new = {one.id for one in await book.add(drafted)}
        return [
            ImportedStrategy(
                name=one.id, type=one.type, state="new" if one.id in new else "unchanged"
            )
            for one in drafted
        ]


def _checked_name(name: str) -> str:
    """Return the name of a file that can be one in any folder, and nothing else.

    Raises:
        BadParameterError: It is none.
    """
    fits = len(name.encode(errors="replace")) <= _LONGEST_NAME_BYTES
    if not (fits and name.isprintable() and not name.startswith(".")) or set(name) & set("/\\`"):
        raise BadParameterError(
            "This is no name of a file that could be imported.",
            "Give it without folders, like TSLA.csv.",
        )
    return name


def _told(one: ImportedPrices) -> str:
    span = f"{one.bars:,} bars from {one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}"
    instead = " in the place of others" if one.state == "replaced" else ""
    notes = "".join(f"; {note.rstrip('.')}" for note in one.notes)
    return f"{one.symbol} {one.timeframe}, {span}{instead}{notes}"


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _TOLD
    return "; ".join(parts[:_TOLD]) + (f"; and {more:,} others" if more > 0 else "")
