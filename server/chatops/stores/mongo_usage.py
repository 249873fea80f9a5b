"""What calls of the language model used, in MongoDB."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chatops.assistant.messages import Tokens
from chatops.assistant.money import from_pico, to_pico
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import GroupBy, Spent, UsageFilter, UsageRecord, UsageTotal, day_of
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.values import to_microseconds

_FIELDS: dict[GroupBy, str] = {
    "person": "$personId",
    "session": "$sessionId",
    "service": "$service",
    "model": "$modelId",
    "day": "$day",
}


class MongoUsageStore:
    """What calls of the model used, of many nodes; the contract is :class:`UsageStore`.

    Money is whole pico-dollars in 64 bits, so MongoDB adds it exactly.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def append(self, record: UsageRecord) -> None:
        """Store the record. A repeat with the same id changes nothing."""
        from bson.int64 import Int64
        from pymongo.errors import DuplicateKeyError

        document = {
            "_id": record.id,
            "atUs": to_microseconds(record.at),
            "day": day_of(record.at),
            "personId": record.person.id,
            "personName": record.person.name,
            "sessionId": record.session_id,
            "service": record.service,
            "modelId": record.model_id,
            "inputTokens": Int64(record.tokens.input),
            "outputTokens": Int64(record.tokens.output),
            "cachedTokens": Int64(record.tokens.cached),
            "measured": record.measured,
            "costPicoUsd": Int64(to_pico(record.cost_usd)),
            "dearestPicoUsd": Int64(to_pico(record.dearest_usd)),
            "latencyMs": record.latency_ms,
            "firstMs": record.first_ms,
            "outcome": record.outcome,
        }
        usage = self._database["usage"]
        try:
            await self._database.call(lambda: usage.insert_one(document), "save")
        except DuplicateKeyError:
            return

    async def totals(self, by: GroupBy, which: UsageFilter) -> Sequence[UsageTotal]:
        """Return the sums of the records, one for each person, session, service, model or day."""
        sums = {
            "estimated": {"$cond": ["$measured", 0, 1]},
            "calls": 1,
            "input": "$inputTokens",
            "output": "$outputTokens",
            "cached": "$cachedTokens",
            "cost": "$costPicoUsd",
            "dearest": "$dearestPicoUsd",
        }
        order = {"_id": 1} if by == "day" else {"cost": -1, "_id": 1}
        found = await self._database.aggregate(
            "usage",
            [
                {"$match": _conditions(which)},
                {"$sort": {"atUs": 1}},
                {
                    "$group": {
                        "_id": _FIELDS[by],
                        "name": {"$last": "$personName"},
                        **{name: {"$sum": value} for name, value in sums.items()},
                    }
                },
                {"$sort": order},
            ],
        )
        return [_total(one, by) for one in found]

    async def spent(self, since: datetime, person_id: str, session_id: str) -> Spent:
        """Return what was spent since a moment: by the person, in the session, and by all."""

        def of(field: str, value: str) -> dict[str, Any]:
            return {"$sum": {"$cond": [{"$eq": [field, {"$literal": value}]}, "$costPicoUsd", 0]}}

        found = await self._database.aggregate(
            "usage",
            [
                {"$match": {"atUs": {"$gte": to_microseconds(since)}}},
                {
                    "$group": {
                        "_id": None,
                        "person": of("$personId", person_id),
                        "session": of("$sessionId", session_id),
                        "everybody": {"$sum": "$costPicoUsd"},
                    }
                },
            ],
        )
        sums = found[0] if found else {"person": 0, "session": 0, "everybody": 0}
        return Spent(
            from_pico(sums["person"]), from_pico(sums["session"]), from_pico(sums["everybody"])
        )


def _conditions(which: UsageFilter) -> dict[str, Any]:
    """Return the filter as a query."""
    conditions: dict[str, Any] = {
        "personId": which.person_id,
        "sessionId": which.session_id,
        "service": which.service,
    }
    conditions = {name: value for name, value in conditions.items() if value is not None}
    times = {"$gte": which.since, "$lt": which.before}
    if given := {name: to_microseconds(at) for name, at in times.items() if at is not None}:
        conditions["atUs"] = given
    return conditions


def _total(document: Mapping[str, Any], by: GroupBy) -> UsageTotal:
    key = document["_id"]
    return UsageTotal(
        key=key,
        label=document["name"] if by == "person" else key,
        calls=document["calls"],
        estimated=document["estimated"],
        tokens=Tokens(document["input"], document["output"], document["cached"]),
        cost_usd=from_pico(document["cost"]),
        dearest_usd=from_pico(document["dearest"]),
    )


if TYPE_CHECKING:
    _: type[UsageStore] = MongoUsageStore
