"""Who answers in which session, in MongoDB."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chatops.access.identity import Person
from chatops.assistant.ports import FLOOR_LEASE_S, Floor, FloorStore, Saying
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.values import from_json, to_json

_HELD = {"until": {"$exists": True}}
_RUNS = {"$expr": {"$gte": ["$until", "$$NOW"]}}
_LAPSED = {**_HELD, "$expr": {"$lt": ["$until", "$$NOW"]}}

_SILENT = {"turn": "", "messageId": "", "text": "", "about": "{}", "stoppedBy": None}


class MongoFloorStore:
    """Who answers in which session, on many nodes; the contract is :class:`FloorStore`.

    A floor is a document with the id of its session; ``until`` is there while it is held. Each
    change is one update that names what it relies on. Leases run by the clock of the database.
    """

    def __init__(self, database: MongoDatabase, *, lease_s: float = FLOOR_LEASE_S) -> None:
        self._database = database
        self._lease = {"$add": ["$$NOW", int(lease_s * 1000)]}

    async def take(self, session_id: str) -> int | None:
        """Take the floor for the length of a lease; return its fence, or None."""
        from pymongo.errors import DuplicateKeyError

        if not await self._database.first("sessions", {"_id": session_id}, fields={"_id": 1}):
            return None
        fence = {"$add": [{"$ifNull": ["$fence", 0]}, 1]}
        try:
            taken = await self._change(
                {"_id": session_id, "until": {"$exists": False}},
                {**_SILENT, "fence": fence, "until": self._lease},
                upsert=True,
            )
        except DuplicateKeyError:  # it is there, and held
            return None
        return None if taken is None else taken["fence"]

    async def keep(self, session_id: str, fence: int, saying: Saying) -> Floor | None:
        """Begin the lease anew and say how far the answer is; return the floor as it is then."""
        turn = {"$literal": saying.turn}
        said = {
            "until": self._lease,
            "turn": turn,
            "messageId": {"$literal": saying.message_id},
            "text": {"$literal": saying.text},
            "about": {"$literal": to_json(saying.about)},
            "stoppedBy": {"$cond": [{"$eq": ["$turn", turn]}, "$stoppedBy", None]},
        }
        kept = await self._change({"_id": session_id, "fence": fence, **_HELD}, said)
        return None if kept is None else Floor(session_id, fence, saying, _person(kept))

    async def give_back(self, session_id: str, fence: int) -> None:
        """Let others have the floor."""
        which = {"_id": session_id, "fence": fence, **_HELD}
        await self._change(which, {**_SILENT, "until": "$$REMOVE"})

    async def stop(self, session_id: str, person: Person, message_id: str | None = None) -> bool:
        """Note that the person wants the answer that is being given to end."""
        which = {"_id": session_id, "turn": {"$ne": ""}, **_RUNS}
        if message_id is not None:
            which["messageId"] = message_id
        who = {"$ifNull": ["$stoppedBy", {"$literal": [person.id, person.name]}]}
        return await self._change(which, {"stoppedBy": who}) is not None

    async def saying(self, session_id: str) -> Floor | None:
        """Return the floor of a session if somebody holds it and their lease runs, else None."""
        found = await self._database.first("floors", {"_id": session_id, **_RUNS})
        return None if found is None else _floor(found)

    async def lapsed(self) -> Sequence[Floor]:
        """Return the floors whose lease is over."""
        found = await self._database.find("floors", _LAPSED, sort=[("_id", 1)], hint="held")
        return [_floor(one) for one in found]

    async def seize(self, session_id: str, fence: int) -> int | None:
        """Take a lapsed floor as it is, its saying included; return the new fence, or None."""
        seized = await self._change(
            {"_id": session_id, "fence": fence, **_LAPSED},
            {"fence": {"$add": ["$fence", 1]}, "until": self._lease},
        )
        return None if seized is None else seized["fence"]

    async def _change(
        self, which: Mapping[str, Any], fields: Mapping[str, Any], *, upsert: bool = False
    ) -> dict[str, Any] | None:
        """Run the fenced update; return the floor, less what is said, if it applied, else None."""
        from pymongo import ReturnDocument

        changed: dict[str, Any] | None = await self._database.call(
            lambda: self._database["floors"].find_one_and_update(
                which,
                [{"$set": fields}],
                {"fence": 1, "stoppedBy": 1},
                upsert=upsert,
                return_document=ReturnDocument.AFTER,
            ),
            "save",
        )
        return changed


def _floor(document: Mapping[str, Any]) -> Floor:
    about = from_json(document.get("about", "{}"))  # a node of an older version may hold it
    saying = Saying(document["turn"], document["messageId"], document["text"], about)
    return Floor(document["_id"], document["fence"], saying, _person(document))


def _person(document: Mapping[str, Any]) -> Person | None:
    who = document["stoppedBy"]
    return None if who is None else Person(*who)


if TYPE_CHECKING:
    _: type[FloorStore] = MongoFloorStore
