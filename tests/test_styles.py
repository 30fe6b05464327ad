"""Styles: a name or a blend, whose shares sum to 1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetalker.errors import StyleError
from codetalker.styles import shares_of

KNOWN = ("anna", "bert", "carl")


@given(st.dictionaries(st.sampled_from(KNOWN), st.floats(0.01, 1e6), min_size=1))
def test_shares_keep_their_ratios_and_sum_to_1(blend: dict[str, float]) -> None:
    text = ",".join(f"{name}:{share!r}" for name, share in blend.items())
    for style in (blend, text):
        shares = shares_of(style, KNOWN)
        assert sum(shares.values()) == pytest.approx(1)
        for name, share in blend.items():
            assert shares[name] * sum(blend.values()) == pytest.approx(share)


def test_a_name_alone_is_the_whole_style() -> None:
    assert shares_of("bert", KNOWN) == {"bert": 1.0}
    assert shares_of("anna, carl", KNOWN) == {"anna": 0.5, "carl": 0.5}


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("ana", "no style 'ana'; did you mean 'anna'"),
        ("", "no style ''"),
        ("anna:1,", "no style ''"),
        ("anna:x", "the share 'x' in style 'anna:x' is no number"),
        ("anna:-1,bert:2", "shares of 0 or more"),
        ("anna:0", "shares of 0 or more"),
        ("anna:nan", "shares of 0 or more"),
        ({}, "shares of 0 or more"),
        ({"zzz": 1.0}, "choose from anna, bert, carl"),
    ],
)
def test_what_is_no_style_is_refused(style: object, message: str) -> None:
    with pytest.raises(StyleError, match=message):
        shares_of(style, KNOWN)  # type: ignore[arg-type]
