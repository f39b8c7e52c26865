"""Tracing: `spans` is what the rest of the proxy sees, `otel` makes them through the API of OTel.

Below the API stands a pipeline of our own: `records` keeps them, `delivery` sends them from a
thread, `encoding` writes OTLP, and `otlp_http` or `otlp_grpc` is the way to the collector.

No span is ever made current across an `await` or a `yield`: parents are passed explicitly. A
span that is current in a generator leaks into whoever consumes it, and detaching it there fails.
"""
