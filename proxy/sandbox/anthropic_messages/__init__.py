"""Anthropic Messages, as `api.anthropic.com` speaks it (anthropic 2.12 and recordings)."""
