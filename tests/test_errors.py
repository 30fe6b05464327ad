"""What a message about an unknown name offers instead."""

from __future__ import annotations

from codetalker.errors import did_you_mean


def test_an_unknown_name_gets_the_nearest_known_one_or_all() -> None:
    known = ["style", "strength", "seed"]
    assert did_you_mean("stile", known) == "did you mean 'style'?"
    assert did_you_mean("stile", iter(known), str) == "did you mean style?"
    assert did_you_mean("zzz", iter(known)) == "choose from style, strength, seed"
    assert did_you_mean(3, known) == "choose from style, strength, seed"  # a key of any type
