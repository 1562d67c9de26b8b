"""Coalescing: single calls that wait together travel together, as one batch message (DESIGN.md §5)."""

from kmsq.coalescing.transport import Coalescer, coalescing

__all__ = ["Coalescer", "coalescing"]
