"""Metrics: a table of instruments, what is recorded of a request, Prometheus and OTLP."""
