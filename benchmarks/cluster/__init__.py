"""One room on several nodes: fan-out, stored messages, latency and healing, in one run."""
