"""Money, exact: US dollars as ``Decimal`` where people look, whole pico-dollars where it is kept.

A price has at most six decimals for a million tokens, so one token costs a whole number of
pico-dollars (10⁻¹² $), and so does every call. 64 bits hold nine million dollars of them.
"""

from decimal import Decimal

PRICE_DECIMALS = 6
"""Of US dollars for a million tokens; with more, a token would cost less than a pico-dollar."""

_PICO = 12


def to_pico(usd: Decimal) -> int:
    """Return US dollars in pico-dollars.

    Raises:
        ValueError: They are no whole number of them.
    """
    pico = usd.scaleb(_PICO)
    if pico != int(pico):
        raise ValueError(f"{usd} US dollars are no whole number of pico-dollars")
    return int(pico)


def from_pico(pico: int) -> Decimal:
    """Return pico-dollars in US dollars, without zeros at the end."""
    usd = Decimal(pico).scaleb(-_PICO).normalize()
    # 1E+1 is how ``normalize`` writes ten.
    return usd.quantize(Decimal(1)) if usd == usd.to_integral_value() else usd


def shown(usd: Decimal) -> str:
    """Return an amount for a person: in cents, or as finely as its first two figures need."""
    if usd == 0:
        return "$0"
    whole, _, part = f"{usd:,.{max(2, 1 - usd.adjusted())}f}".partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"
