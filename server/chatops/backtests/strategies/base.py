"""What a strategy type is: a name, checked parameters and one pure rule.

A rule answers, for every bar at once, "do I want to be long at this close?". It knows no engine,
no money and no date. The engine hands it the indicators, so that a process which only needs names
and ranges (the server) can import every strategy without NumPy or TA-Lib.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chatops.backtests.market.bars import Bars

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]


class Indicators(Protocol):
    """What a rule may ask of the past.

    Every result has the length of its input. The value at index t uses inputs 0..t only and is
    NaN while there are too few of them; NaN compares false, so a rule is flat until it knows.
    """

    def always(self, values: Floats) -> Flags:
        """True at every bar."""
        ...

    def above(self, prices: Floats, others: Floats) -> Flags:
        """Where one price exceeds another by more than rounding, 1e-12 of it.

        Averages of a price that stands still differ in their last digits only.
        """
        ...

    def sma(self, values: Floats, period: int) -> Floats:
        """Simple moving average of the last ``period`` values."""
        ...

    def ema(self, values: Floats, period: int) -> Floats:
        """Exponential moving average, alpha 2 / (period + 1), seeded with the first SMA."""
        ...

    def rsi(self, values: Floats, period: int) -> Floats:
        """Wilder's relative strength index, 0..100; NaN while the values have never moved."""
        ...

    def macd(self, values: Floats, fast: int, slow: int, signal: int) -> tuple[Floats, Floats]:
        """MACD line (fast EMA less slow EMA) and its signal line (EMA of the line)."""
        ...

    def bollinger(
        self, values: Floats, period: int, num_std: float
    ) -> tuple[Floats, Floats, Floats]:
        """Lower, middle and upper band; population standard deviation (ddof 0)."""
        ...

    def rate_of_change(self, values: Floats, period: int) -> Floats:
        """``values[t] / values[t - period] - 1``, a fraction."""
        ...

    def hold(self, enter: Flags, leave: Flags) -> Flags:
        """True from each bar that enters until the next that leaves; ``leave`` wins a tie."""
        ...


class Parameters(BaseModel):
    """Base of every parameter model: whole, finite, frozen, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter as help, completion and error messages need it; limits are inclusive."""

    name: str
    kind: Literal["int", "float"]
    default: int | float
    low: int | float
    high: int | float
    description: str

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        what = "a whole number" if self.kind == "int" else "a number"
        return f"{what} from {self.low:g} to {self.high:g}"


P = TypeVar("P", bound=Parameters)


class StrategyType(ABC, Generic[P]):
    """A rule with its parameters. Instances hold no state; every method is pure.

    Attributes:
        name: What a person types; also the name of its preset.
        title: The same for a heading.
        summary: The rule in one line.
        parameters: Model of the parameters; every field has a default, ``ge``, ``le`` and a
            description.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    parameters: type[P]

    @abstractmethod
    def wants_long(self, bars: Bars, params: P, indicators: Indicators) -> Flags:
        """Say for every bar whether the rule wants to be long at its close.

        Args:
            bars: Bars with all their history; index t may only use bars 0..t.
            params: Checked parameters.
            indicators: Functions of the past, given by the engine.

        Returns:
            ``bool[n]``, one value a bar; False while the rule has too little history.
        """

    @abstractmethod
    def bars_needed(self, params: P) -> int:
        """Bars that must have closed before the rule can say yes for the first time."""

    def parameter_infos(self) -> tuple[ParameterInfo, ...]:
        """Describe the parameters in the order of the model."""
        fields = self.parameters.model_json_schema()["properties"]
        return tuple(
            ParameterInfo(
                name=name,
                kind="int" if field["type"] == "integer" else "float",
                default=field["default"],
                low=field["minimum"],
                high=field["maximum"],
                description=field["description"],
            )
            for name, field in fields.items()
        )
