"""Saved strategies in MongoDB."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chatops.access.identity import Person
from chatops.backtests.ports import SavedStrategy, StrategyStore
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.values import from_json, from_time, to_json, to_time


class MongoStrategyStore:
    """Saved strategies of many nodes; the contract is :class:`StrategyStore`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def list_strategies(self) -> Sequence[SavedStrategy]:
        """Return all, by id."""
        found = await self._database.find("strategies", {}, sort=[("_id", 1)])
        return [_strategy(one) for one in found]

    async def get_strategy(self, strategy_id: str) -> SavedStrategy | None:
        """Return it, or None."""
        found = await self._database.first("strategies", {"_id": strategy_id})
        return None if found is None else _strategy(found)

    async def put_strategy(self, strategy: SavedStrategy, *, replaces: int) -> bool:
        """Store it if the present version is ``replaces`` (0: there is none); else return False."""
        from pymongo.errors import DuplicateKeyError

        record = {
            "type": strategy.type,
            "params": strategy.params,
            "owner": [strategy.owner.id, strategy.owner.name],
            "description": strategy.description,
            "changed_at": to_time(strategy.changed_at),
        }
        document = {"_id": strategy.id, "version": strategy.version, "record": to_json(record)}
        strategies = self._database["strategies"]
        if replaces == 0:
            try:
                await self._database.call(lambda: strategies.insert_one(document), "save")
            except DuplicateKeyError:
                return False
            return True
        which = {"_id": strategy.id, "version": replaces}
        changed = await self._database.call(lambda: strategies.replace_one(which, document), "save")
        return bool(changed.matched_count)

    async def delete_strategy(self, strategy_id: str, *, version: int) -> bool:
        """Delete it if the present version is ``version``; else return False."""
        which = {"_id": strategy_id, "version": version}
        deleted = await self._database.call(
            lambda: self._database["strategies"].delete_one(which), "save"
        )
        return bool(deleted.deleted_count)


def _strategy(document: Mapping[str, Any]) -> SavedStrategy:
    record = from_json(document["record"])
    return SavedStrategy(
        id=document["_id"],
        type=record["type"],
        params=record["params"],
        owner=Person(*record["owner"]),
        version=document["version"],
        description=record["description"],
        changed_at=from_time(record["changed_at"]),
    )


if TYPE_CHECKING:
    _: type[StrategyStore] = MongoStrategyStore
