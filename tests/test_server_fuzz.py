"""What nobody would send: requests made from the OpenAPI description, and random streams."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import positive_data_acceptance
from websockets.exceptions import ConnectionClosed

from codetalker.server.limits import Limits
from codetalker.server.models import Models
from served import Served, pcm, rest, say, served, until

SOUND = pcm(0.5).tobytes()
EXAMPLES = int(os.environ.get("CODETALKER_FUZZ", "15"))
"""Of each kind; set the variable for more."""


@pytest.fixture(scope="module")
def server(bundled_model: Path) -> Iterator[Served]:
    with served(Models(["live"]), Limits(seconds=20, idle=5)) as one:
        yield one


@pytest.fixture(scope="module")
def description(server: Served) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


PATHS = {
    "/v1/animate": "POST",
    "/audio_to_blendshapes": "POST",
    "/v1/models": "GET",
    "/healthz": "GET",
    "/metrics": "GET",
}


@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_one_that_is_described(
    description: Any, path: str, mode: schemathesis.GenerationMode
) -> None:
    """No schema can say which bytes are sound, so that what fits it may be refused."""
    cases = description[path][PATHS[path]].as_strategy(generation_mode=mode)

    @given(cases)
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    with suppress(Unsatisfiable):  # a path without parameters cannot be asked wrongly
        check()


MESSAGES = st.one_of(
    st.binary(max_size=50),
    st.just(SOUND),
    st.text(max_size=50),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["change", "lost", "end", "style", "strength", "life", "rate", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=5,
    ).map(json.dumps),
    st.sampled_from(['{"lost": 0.5}', '{"change": {"life": "idle"}}', '{"end": true}']),
)


@settings(max_examples=4 * EXAMPLES)
@given(st.booleans(), st.lists(MESSAGES, max_size=6))
def test_streams_of_anything_end_in_a_word(
    server: Served, well_begun: bool, messages: list[bytes | str]
) -> None:
    with server.connect() as line:
        with suppress(ConnectionClosed):
            if well_begun:
                say(line)
            for message in messages:
                line.send(message)
            say(line, end=True)
        told = rest(line)
    last = told[-1]
    assert "error" in last or last["end"]["reason"] == "end"
    assert line.close_code in (1000, 1007)


def test_nothing_has_failed_and_nothing_is_left(server: Served) -> None:
    """After all of the above."""
    assert until(lambda: server.metric("codetalker_streams_open") == 0)
    text = server.server.metrics.text().decode()
    assert 'status="5' not in text
    assert 'reason="failed"' not in text
