"""What a room event, an ack and a connection cost, here and in the peers, in one run."""
