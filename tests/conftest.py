"""What several test files share."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
"""Material beside the repository that is not part of it; tests that need it skip without it."""
