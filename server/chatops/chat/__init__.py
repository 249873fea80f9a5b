"""What happens to a message: store it, show it, then run the command in it or start a turn."""
