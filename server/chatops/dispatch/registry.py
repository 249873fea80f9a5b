"""The commands there are, found by any of their names."""

from collections.abc import Iterable, Mapping
from typing import Any

from chatops.dispatch.signature import signature_of
from chatops.dispatch.spec import CommandSpec
from chatops.dispatch.wording import closest, is_name, key, shown, snake
from chatops.errors import UnknownCommandError


class Registry:
    """An unchangeable set of commands.

    Raises:
        ValueError: Two commands answer to one name, or a name cannot be typed.
        TypeError: The parameters of a command cannot be given as words.
    """

    def __init__(self, specs: Iterable[CommandSpec[Any]]) -> None:
        self._by_key: dict[str, CommandSpec[Any]] = {}
        self._names: list[str] = []
        self._families: dict[str, tuple[CommandSpec[Any], ...]] = {}
        for spec in specs:
            signature_of(spec.parameters)
            for name in (spec.name, *spec.aliases):
                if not is_name(snake(name)) or key(name) in self._by_key:
                    raise ValueError(f"The command name {name!r} cannot be used, or is used twice.")
                self._by_key[key(name)] = spec
                self._names.append(name)
            self._families[spec.family] = (*self._families.get(spec.family, ()), spec)

    def specs(self) -> Mapping[str, tuple[CommandSpec[Any], ...]]:
        """Return the commands by family; families and commands in the order given."""
        return self._families

    def knows(self, name: str) -> bool:
        """Whether there is a command of this name or alias, with or without its slash."""
        return key(_bare(name)) in self._by_key

    def find(self, name: str) -> CommandSpec[Any]:
        """Return the command of this name or alias, with or without its slash.

        Raises:
            UnknownCommandError: There is none; the hint names the nearest.
        """
        word = _bare(name)
        spec = self._by_key.get(key(word))
        if spec is None:
            near = closest(snake(word), self._names)
            hint = "Type /help for all commands."
            raise UnknownCommandError(
                f"Unknown command {shown('/' + word)}.",
                f'Did you mean "/{near}"? {hint}' if near else hint,
            )
        return spec


def _bare(name: str) -> str:
    return name.strip().lstrip("/／")
