"""Models that a server has: those that its owner names, loaded once, found by name alone.

In the flow speech -> **features -> codes -> motion**.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import codetalker
from codetalker.errors import OptionError, did_you_mean
from codetalker.files import FORMATS
from codetalker.model_folder import BUNDLED, FOR_FILES, find_model
from codetalker.server.work import JSON
from codetalker.talker import StreamingTalker, Talker

_FILES = (f for f in FORMATS if not f.sequence and f.takes != "character")
ANSWERS = tuple(dict.fromkeys([JSON, *(f.suffix[1:] for f in _FILES)]))
"""What a recording can be turned into: one file, without a face of the client's own."""


class Models:
    """Loaded models by name.

    Args:
        names: folders, or names of bundled models; the first one is the default, for recordings
            and for streams. By default `studio` is that of recordings and `live` that of streams.

    Attributes:
        for_files, for_streams: names of the default ones; no model for streams is None.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        chosen = names or (FOR_FILES, BUNDLED)
        self._folders = {Path(name).name: find_model(name).absolute() for name in chosen}
        self._talkers = {name: codetalker.load(path) for name, path in self._folders.items()}
        self.for_files = next(iter(self._talkers))
        streams = [n for n, t in self._talkers.items() if isinstance(t, StreamingTalker)]
        self.for_streams = (streams[0] if names else BUNDLED) if streams else None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all."""
        return tuple(self._talkers)

    def talker(self, name: str | None) -> Talker:
        """The one of that name, that for recordings for None.

        Raises:
            OptionError: the server has none of it.
        """
        return self._talkers[self._known(name or self.for_files)]

    def streaming(self, name: str | None) -> StreamingTalker:
        """The one of that name, that for streams for None.

        Raises:
            OptionError: the server has none of it, or it has no streams.
        """
        talker = self.talker(name or self.for_streams)
        if not isinstance(talker, StreamingTalker):
            raise OptionError("this model has no streams; choose another one")
        return talker

    def folder(self, name: str | None) -> str:
        """Of that model."""
        return str(self._folders[self._known(name or self.for_files)])

    def facts(self) -> list[dict[str, Any]]:
        """What there is to know of each."""
        return [
            {
                "name": name,
                "styles": list(talker.styles),
                "fps": float(talker.fps),
                "latency": talker.latency if isinstance(talker, StreamingTalker) else None,
                "formats": answers_of(talker),
                "options": list(talker.options),
            }
            for name, talker in self._talkers.items()
        ]

    def _known(self, name: str) -> str:
        if name not in self._talkers:
            raise OptionError(f"there is no model {name!r}; {did_you_mean(name, self._talkers)}")
        return name


def answers_of(talker: Talker) -> list[str]:
    """What a recording can be turned into by that model: one file."""
    rows = "weights" in talker.motion_type.FORMS
    return [a for a in ANSWERS if f".{a}" in talker.formats or (a == JSON and rows)]
