"""What a question may say besides its words; it is kept with the message, as ``metadata.ask``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How a question is to be answered.

    Attributes:
        model_id: By which model; None: the default one of the service.
        history: Whether the model is told what was said before.
        roles: What the person says that they are; it raises nobody's permissions.
    """

    model_id: str | None = None
    history: bool = True
    roles: tuple[str, ...] = ()

    def to_metadata(self) -> dict[str, Any]:
        """Return what is kept; nothing for what is as usual."""
        kept: dict[str, Any] = {}
        if self.model_id is not None:
            kept["model"] = self.model_id
        if not self.history:
            kept["history"] = False
        if self.roles:
            kept["roles"] = list(self.roles)
        return kept

    @classmethod
    def of(cls, metadata: Mapping[str, Any] | None) -> "AskOptions":
        """Return what was kept with a message."""
        kept = (metadata or {}).get("ask") or {}
        return cls(kept.get("model"), kept.get("history", True), tuple(kept.get("roles", ())))
