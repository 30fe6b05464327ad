"""Progress: a bar on a terminal, nothing where somebody reads the log later."""

from __future__ import annotations

import io
import os
import re
import sys

import pytest

from codetalker.progress import ProgressBar


class Terminal(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def work(counts: bool = False, silent: bool = False) -> None:
    with ProgressBar("features", 10.0, done=2, counts=counts, silent=silent) as bar:
        bar.advance(3)
        bar.rename("features, pass 1")
        bar.update(8, 16)


def shown(monkeypatch: pytest.MonkeyPatch, **options: bool) -> str:
    """What is on the terminal when `work` is done, without colours."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(os.environ, "TERM", "xterm")
    work(**options)
    return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())


def test_nothing_is_shown_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    work()
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_under_its_last_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch)
    assert "features, pass 1" in text
    assert "━" in text
    assert "8/16" not in text
    assert "8/16" in shown(monkeypatch, counts=True).replace(".0", "")
    assert shown(monkeypatch, silent=True) == ""


def test_items_are_tracked_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, seen = ProgressBar("clips"), []
    monkeypatch.setattr(bar, "update", lambda *done: seen.append(done))
    for item in bar.track(iter("ab")):
        seen.append(item)
    assert seen == [(0, 2), "a", (1, 2), "b", (2, 2)]
