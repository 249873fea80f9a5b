"""What calls of the language model used, in SQLite."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chatops.assistant.messages import Tokens
from chatops.assistant.money import from_pico, to_pico
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import GroupBy, Spent, UsageFilter, UsageRecord, UsageTotal, day_of
from chatops.stores.sqlite_database import SqliteDatabase
from chatops.stores.values import to_microseconds

_COLUMNS: dict[GroupBy, str] = {
    "person": "person_id",
    "session": "session_id",
    "service": "service",
    "model": "model_id",
    "day": "day",
}


class SqliteUsageStore:
    """What calls of the model used, on one machine; the contract is :class:`UsageStore`.

    Money is whole pico-dollars, so SQLite adds it exactly.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def append(self, record: UsageRecord) -> None:
        """Store the record. A repeat with the same id changes nothing."""
        row = {
            "id": record.id,
            "at_us": to_microseconds(record.at),
            "day": day_of(record.at),
            "person_id": record.person.id,
            "person_name": record.person.name,
            "session_id": record.session_id,
            "service": record.service,
            "model_id": record.model_id,
            "input_tokens": record.tokens.input,
            "output_tokens": record.tokens.output,
            "cached_tokens": record.tokens.cached,
            "measured": int(record.measured),
            "cost_pico_usd": to_pico(record.cost_usd),
            "dearest_pico_usd": to_pico(record.dearest_usd),
            "latency_ms": record.latency_ms,
            "first_ms": record.first_ms,
            "outcome": record.outcome,
        }
        sql = (
            f"INSERT INTO usage ({', '.join(row)})"  # noqa: S608 - our own names
            f" VALUES ({', '.join(f':{name}' for name in row)}) ON CONFLICT (id) DO NOTHING"
        )
        await self._database.write(lambda connection: connection.execute(sql, row).rowcount)

    async def totals(self, by: GroupBy, which: UsageFilter) -> Sequence[UsageTotal]:
        """Return the sums of the records, one for each person, session, service, model or day."""
        conditions, values = _conditions(which)
        order = "key" if by == "day" else "cost DESC, key"
        # With one ``max``, SQLite takes the other columns from the row that has it.
        sql = (
            f"SELECT {_COLUMNS[by]} AS key, person_name, max(at_us), count(*) AS calls,"  # noqa: S608
            " sum(1 - measured) AS estimated, sum(input_tokens) AS input,"
            " sum(output_tokens) AS output, sum(cached_tokens) AS cached,"
            " sum(cost_pico_usd) AS cost, sum(dearest_pico_usd) AS dearest"
            f" FROM usage WHERE {conditions} GROUP BY {_COLUMNS[by]} ORDER BY {order}"
        )

        def read(connection: sqlite3.Connection) -> list[UsageTotal]:
            return [_total(row, by) for row in connection.execute(sql, values)]

        return await self._database.read(read)

    async def spent(self, since: datetime, person_id: str, session_id: str) -> Spent:
        """Return what was spent since a moment: by the person, in the session, and by all."""
        sql = (
            "SELECT coalesce(sum(cost_pico_usd) FILTER (WHERE person_id = :person), 0),"
            " coalesce(sum(cost_pico_usd) FILTER (WHERE session_id = :session), 0),"
            " coalesce(sum(cost_pico_usd), 0) FROM usage WHERE at_us >= :since"
        )
        values = {
            "person": person_id,
            "session": session_id,
            "since": to_microseconds(since),
        }
        person, session, everybody = await self._database.read(
            lambda connection: connection.execute(sql, values).fetchone()
        )
        return Spent(from_pico(person), from_pico(session), from_pico(everybody))


def _conditions(which: UsageFilter) -> tuple[str, dict[str, Any]]:
    """Return the filter as a condition of SQL, and its values."""
    conditions = {
        "since": ("at_us >= :since", None if which.since is None else to_microseconds(which.since)),
        "before": (
            "at_us < :before",
            None if which.before is None else to_microseconds(which.before),
        ),
        "person": ("person_id = :person", which.person_id),
        "session": ("session_id = :session", which.session_id),
        "service": ("service = :service", which.service),
    }
    given = {name: one for name, one in conditions.items() if one[1] is not None}
    sql = " AND ".join(condition for condition, _ in given.values()) or "1"
    return sql, {name: value for name, (_, value) in given.items()}


def _total(row: sqlite3.Row, by: GroupBy) -> UsageTotal:
    return UsageTotal(
        key=row["key"],
        label=row["person_name"] if by == "person" else row["key"],
        calls=row["calls"],
        estimated=row["estimated"],
        tokens=Tokens(row["input"], row["output"], row["cached"]),
        cost_usd=from_pico(row["cost"]),
        dearest_usd=from_pico(row["dearest"]),
    )


if TYPE_CHECKING:
    _: type[UsageStore] = SqliteUsageStore
