"""Backtests: strategies, market data, engine, analysis, provenance and the jobs that run them."""
