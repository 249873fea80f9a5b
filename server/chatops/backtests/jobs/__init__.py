"""Jobs: one run each, of the room and not of a connection; they survive the server's death."""
