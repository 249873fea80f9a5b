"""Adapters that keep what must survive a restart: sessions, jobs and saved strategies."""
