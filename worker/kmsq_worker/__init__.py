"""The kmsq service."""
