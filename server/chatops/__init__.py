"""A shared realtime room in which a trading team runs, watches and compares real backtests."""

__all__ = ["__version__"]

__version__ = "0.1.0"
