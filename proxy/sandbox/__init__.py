"""A deterministic emulation of the providers' native APIs, for work without keys or network.

The sandbox is the *other side* of the proxy: it shares no code with the translators, so that a
mistake in them is refused here as the real service would refuse it.
"""
