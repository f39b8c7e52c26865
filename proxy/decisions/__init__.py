"""What became of each request: its record, kept for a while for the client key that made it."""
