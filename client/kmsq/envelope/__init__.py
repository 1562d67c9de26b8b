"""Encrypting on this side, under data keys that the service wraps. Formats: docs/envelope.md."""
