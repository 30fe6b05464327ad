"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, float], None]
"""Told how much is done, and of how much."""
