"""The wire as typed models, with no I/O. What stands here is what a client may rely on."""
