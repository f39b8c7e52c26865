"""Spans on their way to a collector: encoded, queued, sent over HTTP or gRPC, from a thread."""
