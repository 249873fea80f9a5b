"""Named strategies: the preset of each type and what people saved."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches

from chatops.access.identity import SYSTEM, Person
from chatops.access.permissions import Action, Target, authorize
from chatops.backtests.ports import SavedStrategy, StrategyStore
from chatops.backtests.strategies.catalogue import STRATEGY_TYPES, check_params
from chatops.errors import AppError, BadParameterError, ConflictError, NotFoundError
from chatops.protocol.base import utc_now

_ID = re.compile(r"[\w][\w-]{0,63}")
_MAX_DESCRIPTION = 500
_EVER = datetime(2026, 1, 1, tzinfo=UTC)


class StrategyBook:
    """Finds and keeps strategies. A preset has the name of its type and nobody can change it."""

    def __init__(self, store: StrategyStore) -> None:
        self._store = store

    async def everything(self) -> list[SavedStrategy]:
        """Return presets, then saved strategies by id."""
        return [preset(name) for name in STRATEGY_TYPES] + list(await self._store.list_strategies())

    def rules(self) -> str:
        """Return every rule with its parameters, a paragraph each."""
        return "\n\n".join(
            "\n".join(
                [f"{kind.name}: {kind.summary}"]
                + [
                    f"- {info.name}: {info.allowed}, else {info.default:g}. {info.description}"
                    for info in kind.parameter_infos()
                ]
            )
            for kind in STRATEGY_TYPES.values()
        )

    async def find(self, strategy_id: str) -> SavedStrategy:
        """Return a preset or saved strategy.

        Raises:
            NotFoundError: There is none; the hint names the nearest.
        """
        wanted = strategy_id.strip().lower().replace("-", "_")
        if wanted in STRATEGY_TYPES:
            return preset(wanted)
        found = await self._store.get_strategy(strategy_id) or await self._store.get_strategy(
            wanted
        )
        if found is None:
            known = [s.id for s in await self.everything()]
            near = get_close_matches(wanted, known, n=1)
            raise NotFoundError(
                f'There is no strategy "{strategy_id[:64]}".',
                f"Did you mean {near[0]}? /strategies lists them."
                if near
                else "Type /strategies to see those there are.",
            )
        return found

    async def create(self, strategy: SavedStrategy) -> None:
        """Save what :meth:`draft` returned.

        Raises:
            BadParameterError: The name is taken.
        """
        if not await self._store.put_strategy(strategy, replaces=0):
            raise _taken(strategy.id)

    async def add(self, drafted: Sequence[SavedStrategy]) -> list[SavedStrategy]:
        """Save all that :meth:`draft` returned, or none; return those that were not there.

        One that is there just so, whoever owns it, stays as it is.

        Raises:
            BadParameterError: A name is taken by another strategy.
        """
        new = []
        for one in drafted:
            now = await self._store.get_strategy(one.id)
            if now is None:
                new.append(one)
            elif (now.type, now.params, now.description) != (
                one.type,
                one.params,
                one.description,
            ):
                raise _taken(one.id)
        saved: list[SavedStrategy] = []
        try:
            for one in new:
                await self.create(one)
                saved.append(one)
        except AppError:
            for one in saved:
                await self._store.delete_strategy(one.id, version=one.version)
            raise
        return new

    async def check_free(self, strategy_id: str) -> None:
        """Refuse a name that a saved strategy has now.

        Raises:
            BadParameterError: The name is taken.
        """
        if await self._store.get_strategy(strategy_id) is not None:
            raise _taken(strategy_id)

    def draft(
        self,
        person: Person,
        strategy_id: str,
        type_name: str,
        given: Mapping[str, object],
        description: str,
    ) -> SavedStrategy:
        """Return a new strategy, checked and not yet saved.

        Raises:
            BadParameterError: The name is malformed or a preset's, or a parameter is wrong.
        """
        if not _ID.fullmatch(strategy_id) or strategy_id.startswith(("bt_", "cmp_")):
            raise BadParameterError(
                f'"{strategy_id[:64]}" cannot be the name of a strategy.',
                "Use 1 to 64 letters, digits, - or _, not beginning with bt_ or cmp_.",
            )
        if strategy_id in STRATEGY_TYPES:
            raise BadParameterError(
                f'"{strategy_id}" is a preset.', f"Take another name, like my_{strategy_id}."
            )
        return SavedStrategy(
            id=strategy_id,
            type=type_name,
            params=check_params(type_name, given),
            owner=person,
            version=1,
            description=description[:_MAX_DESCRIPTION],
            changed_at=utc_now(),
        )

    async def edited(
        self,
        person: Person,
        strategy_id: str,
        given: Mapping[str, object],
        description: str | None,
    ) -> SavedStrategy:
        """Return the strategy as it would be after the change, its version one higher.

        Raises:
            NotFoundError: There is none.
            NotAllowedError: It is a preset or another person's.
            BadParameterError: A parameter is wrong.
        """
        now = await self.editable(person, strategy_id)
        return replace(
            now,
            params=check_params(now.type, {**now.params, **given}),
            version=now.version + 1,
            description=now.description if description is None else description[:_MAX_DESCRIPTION],
            changed_at=utc_now(),
        )

    async def save(self, strategy: SavedStrategy) -> None:
        """Store what :meth:`edited` returned.

        Raises:
            ConflictError: Somebody changed it meanwhile; nothing is overwritten.
        """
        if not await self._store.put_strategy(strategy, replaces=strategy.version - 1):
            raise _changed_meanwhile(strategy.id)

    async def editable(self, person: Person, strategy_id: str) -> SavedStrategy:
        """Return the strategy if the person may change or delete it; raises as :meth:`edited`."""
        now = await self.find(strategy_id)
        authorize(person, Action.EDIT_STRATEGY, Target(owner_id=now.owner.id, name=now.id))
        return now

    async def delete(self, strategy: SavedStrategy) -> None:
        """Delete what :meth:`editable` returned; results that were made with it stay.

        Raises:
            ConflictError: Somebody changed it meanwhile.
        """
        if not await self._store.delete_strategy(strategy.id, version=strategy.version):
            raise _changed_meanwhile(strategy.id)


def preset(name: str) -> SavedStrategy:
    """Return the preset of a strategy type: its default parameters under its own name."""
    kind = STRATEGY_TYPES[name]
    return SavedStrategy(
        id=name,
        type=name,
        params=check_params(name, {}),
        owner=SYSTEM,
        version=1,
        description=kind.summary,
        changed_at=_EVER,
    )


def _taken(strategy_id: str) -> BadParameterError:
    return BadParameterError(
        f'There is a strategy "{strategy_id}" already.',
        f"Take another name, or type /strategy edit {strategy_id}.",
    )


def _changed_meanwhile(strategy_id: str) -> ConflictError:
    return ConflictError(
        f'"{strategy_id}" was changed by somebody else at this moment.',
        f"Look at it with /strategy show {strategy_id} and try again.",
    )
