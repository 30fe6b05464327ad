"""Speaking styles: one of a model's by name, or a blend of several.

In the flow **speech -> features -> codes** -> motion: who speaks, so to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from codetalker.arguments import as_number, shown
from codetalker.errors import StyleError, did_you_mean

Style = str | Mapping[str, float]
"""A name, `A`; or a blend, `A:0.3,B:0.7` or a mapping from names to shares."""


def shares_of(style: Style, known: Sequence[str]) -> dict[str, float]:
    """The shares of the styles in a blend, which sum to 1.

    Args:
        style: a name or a blend; shares that do not sum to 1 are scaled.
        known: the model's styles.

    Raises:
        StyleError: a name is unknown, or the shares are no numbers of 0 or more, or all 0.
    """
    if not isinstance(style, str | Mapping):
        raise StyleError(
            f"the style {shown(style)} is no name and no blend; write A or A:0.3,B:0.7"
        )
    blend = _parsed(style) if isinstance(style, str) else style
    for name in blend:
        if name not in known:
            raise StyleError(f"there is no style {name!r}; {did_you_mean(name, known)}")
    shares = {name: as_number(share) for name, share in blend.items()}
    known_shares = {name: share for name, share in shares.items() if share is not None}
    total = sum(known_shares.values())
    negative = min(known_shares.values(), default=0) < 0
    if known_shares.keys() != blend.keys() or negative or not 0 < total < inf:
        raise StyleError(f"the style {shown(style)} needs shares of 0 or more, not all 0")
    return {name: share / total for name, share in known_shares.items()}


def _parsed(style: str) -> dict[str, float]:
    blend = {}
    for part in style.split(","):
        name, colon, share = part.strip().partition(":")
        try:
            blend[name] = float(share) if colon else 1.0
        except ValueError:
            raise StyleError(
                f"the share {share!r} in style {style!r} is no number; write A:0.3,B:0.7"
            ) from None
    return blend
