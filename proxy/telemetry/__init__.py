"""Tracing: `spans` is what the rest of the proxy sees, `otel` the one module that exports it.

No span is ever made current across an `await` or a `yield`: parents are passed explicitly. A
span that is current in a generator leaks into whoever consumes it, and detaching it there fails.
"""
