"""Saved strategies in SQLite."""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatops.access.identity import Person
from chatops.backtests.ports import SavedStrategy, StrategyStore
from chatops.stores.sqlite_database import SqliteDatabase
from chatops.stores.values import from_json, from_time, to_json, to_time


class SqliteStrategyStore:
    """Saved strategies on one machine; the contract is :class:`StrategyStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def list_strategies(self) -> Sequence[SavedStrategy]:
        """Return all, by id."""
        return await self._database.read(
            lambda connection: [
                _strategy(row) for row in connection.execute("SELECT * FROM strategies ORDER BY id")
            ]
        )

    async def get_strategy(self, strategy_id: str) -> SavedStrategy | None:
        """Return it, or None."""

        def get(connection: sqlite3.Connection) -> SavedStrategy | None:
            row = connection.execute(
                "SELECT * FROM strategies WHERE id = ?", (strategy_id,)
            ).fetchone()
            return None if row is None else _strategy(row)

        return await self._database.read(get)

    async def put_strategy(self, strategy: SavedStrategy, *, replaces: int) -> bool:
        """Store it if the present version is ``replaces`` (0: there is none); else return False."""
        record = to_json(
            {
                "type": strategy.type,
                "params": strategy.params,
                "owner": [strategy.owner.id, strategy.owner.name],
                "description": strategy.description,
                "changed_at": to_time(strategy.changed_at),
            }
        )

        def put(connection: sqlite3.Connection) -> bool:
            if replaces == 0:
                changed = connection.execute(
                    "INSERT INTO strategies (id, version, record) VALUES (?, ?, ?)"
                    " ON CONFLICT (id) DO NOTHING",
                    (strategy.id, strategy.version, record),
                )
            else:
                changed = connection.execute(
                    "UPDATE strategies SET version = ?, record = ? WHERE id = ? AND version = ?",
                    (strategy.version, record, strategy.id, replaces),
                )
            return changed.rowcount == 1

        return await self._database.write(put)

    async def delete_strategy(self, strategy_id: str, *, version: int) -> bool:
        """Delete it if the present version is ``version``; else return False."""
        return await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM strategies WHERE id = ? AND version = ?", (strategy_id, version)
                ).rowcount
                == 1
            )
        )


def _strategy(row: sqlite3.Row) -> SavedStrategy:
    record = from_json(row["record"])
    return SavedStrategy(
        id=row["id"],
        type=record["type"],
        params=record["params"],
        owner=Person(*record["owner"]),
        version=row["version"],
        description=record["description"],
        changed_at=from_time(record["changed_at"]),
    )


if TYPE_CHECKING:
    _: type[StrategyStore] = SqliteStrategyStore
