"""The shared room: its log, join and leave, resume, presence, export."""
