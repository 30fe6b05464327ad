"""What the tests in a browser need: node, Chromium, the packages of `web/`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

WEB = Path(__file__).parents[1] / "web"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def skip_without_browser() -> None:
    """Skip all tests of the module that calls it, with the reason, where something is missing."""
    for program, there in (
        ("node", shutil.which("node")),
        ("Chromium", CHROMIUM),
        ("web/node_modules (npm ci)", (WEB / "node_modules/playwright-core").is_dir()),
    ):
        if not there:
            pytest.skip(f"no {program}", allow_module_level=True)
