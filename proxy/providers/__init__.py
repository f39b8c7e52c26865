"""Providers, one module per API dialect: which transport, which credentials, which errors."""
