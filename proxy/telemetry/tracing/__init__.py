"""Spans through OpenTelemetry's API, and the records of our own that stand behind it."""
