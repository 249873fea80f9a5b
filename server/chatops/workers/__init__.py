"""Adapter: runs jobs in warm processes on this machine."""
