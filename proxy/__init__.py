"""Everything that does I/O: the server, the engine, providers, telemetry, configuration, CLI."""

__version__ = "0.1.0"
