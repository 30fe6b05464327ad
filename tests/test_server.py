"""Recordings, facts and access of the server: what comes out, and what is refused in one line."""

from __future__ import annotations

import csv
import io
import os
import socket
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from codetalker.arkit import ARKIT_NAMES
from codetalker.motion import Motion
from codetalker.page import write_page
from codetalker.server.access import Access
from codetalker.server.limits import Limits
from codetalker.server.models import Models
from served import Served, pcm, served, until

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
RATE = 16000
TOKEN = "0123456789abcdef"


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


SOUND = wav(pcm(1.0))


@pytest.fixture(scope="module")
def models(bundled_model: Path) -> Models:
    return Models(["live"])


@pytest.fixture(scope="module")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    page = write_page(tmp_path_factory.mktemp("page") / "page")
    with served(models, page=page) as one:
        yield one


def children() -> list[int]:
    """Processes that this one has started and that are not gone."""
    told = (path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return [int(pid) for line in told for pid in line.split()]


def test_the_file_is_that_of_the_talker(server: Served, models: Models, tmp_path: Path) -> None:
    given = {"style": "s1:0.5,s3:0.5", "strength": 1.3, "seed": 7, "life": "full"}
    with server.client() as client:
        answer = client.post(
            "/v1/animate",
            content=EXAMPLE.read_bytes(),
            params={"format": "npz", "fps": "60", **given},
        )
    assert answer.status_code == 200, answer.text
    (tmp_path / "a.npz").write_bytes(answer.content)
    made = Motion.load(tmp_path / "a.npz")
    wanted = models.talker(None).animate(EXAMPLE, fps=60, **given)
    np.testing.assert_allclose(made.weights, wanted.weights, atol=1e-6)
    np.testing.assert_allclose(made.head, wanted.head, atol=1e-6)


@pytest.mark.parametrize(
    ("format", "kind", "opening"),
    [
        ("glb", "model/gltf-binary", b"glTF"),
        ("csv", "text/csv", b"Timecode,"),
        ("mp4", "video/mp4", b"\0\0\0"),
        ("html", "text/html", b"<!"),
        ("npz", "application/octet-stream", b"PK"),
        ("json", "application/json", b'{"names"'),
    ],
)
def test_every_format_comes_as_what_it_is(
    server: Served, format: str, kind: str, opening: bytes
) -> None:
    with server.client() as client:
        answer = client.post("/v1/animate", content=SOUND, params={"format": format})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert f'filename="face.{format}"' in answer.headers["content-disposition"]
    assert answer.content.startswith(opening)
    if format == "json":
        motion = answer.json()
        assert (len(motion["weights"]), motion["fps"], motion["head"]) == (25, 25, None)
        assert tuple(motion["names"]) == ARKIT_NAMES
    if format == "csv":
        assert len([*csv.reader(io.StringIO(answer.text))]) == 26


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"format": "gbl"}, "glb"), ({"format": "../a"}, "format"), ({"style": "s99"}, "style"),
        ({"strength": "4"}, "strength"), ({"strength": "nan"}, "strength"), ({"fps": "0"}, "fps"),
        ({"fps": "1/0"}, "fps"), ({"seed": "-1"}, "seed"), ({"seed": "9" * 30}, "seed"),
        ({"model": "/etc"}, "model"), ({"model": "grid"}, "model"), ({"life": "x"}, "life"),
        ({"stile": "s1"}, "stile"),
    ],
)  # fmt: skip
def test_wrong_options_are_told_in_a_line(server: Served, params: dict, word: str) -> None:
    with server.client() as client:
        answer = client.post("/v1/animate", content=SOUND, params=params)
    assert answer.status_code == 422
    assert word in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


SECRET = "secret"
LEADING = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n{}",
    "smil": '<smil><body><audio src="{}"/></body></smil>',
    "path": "{}",
}


@pytest.mark.parametrize("kind", LEADING)
def test_no_body_leads_to_a_file_or_an_address(server: Served, kind: str, tmp_path: Path) -> None:
    """A listener that the body names hears nothing, and a file of sound is not found through it."""
    (tmp_path / "secret.wav").write_bytes(SOUND)
    with socket.create_server(("127.0.0.1", 0)) as trap, server.client() as client:
        trap.settimeout(0.2)
        for place in (
            str(tmp_path / "secret.wav"),
            f"file://{tmp_path}/secret.wav",
            f"http://127.0.0.1:{trap.getsockname()[1]}/a.wav",
        ):
            answer = client.post("/v1/animate", content=LEADING[kind].format(place).encode())
            assert answer.status_code == 422, answer.text
            assert str(tmp_path) not in answer.text
            assert "the sound" in answer.json()["error"]
        with pytest.raises(TimeoutError):
            trap.accept()


@pytest.mark.parametrize(
    "body", [b"", b"\0", SOUND[:44], SOUND[:20], os.urandom(5000), b"RIFF" + os.urandom(5000)]
)
def test_what_is_no_sound_is_told_in_a_line(server: Served, body: bytes) -> None:
    with server.client() as client:
        for path in ("/v1/animate", "/audio_to_blendshapes"):
            answer = client.post(path, content=body)
            assert answer.status_code == 422
            assert len(answer.json()["error"].splitlines()) == 1
            assert "/tmp" not in answer.text


def test_forms_are_refused_with_the_remedy(server: Served) -> None:
    with server.client() as client:
        answer = client.post("/v1/animate", files={"file": SOUND})
    assert answer.status_code == 415
    assert "--data-binary" in answer.json()["error"]


def test_limits_of_recordings(models: Models) -> None:
    limits = Limits(body=20_000, seconds=0.5, upload=0.5, waiting=1)
    with served(models, limits) as server, server.client() as client:
        answer = client.post("/v1/animate", content=SOUND)
        assert (answer.status_code, "20000 bytes" in answer.text) == (413, True)
        answer = client.post("/v1/animate", content=iter([SOUND]))  # of a length that is not told
        assert answer.status_code == 413
        answer = client.post("/v1/animate", content=wav(pcm(0.6)))
        assert (answer.status_code, "longer than 0.5 s" in answer.text) == (422, True)
        assert client.post("/v1/animate", content=wav(pcm(0.4))).status_code == 200

        def slow() -> Iterator[bytes]:
            yield SOUND[:1000]
            assert until(lambda: server.metric("codetalker_recordings") == 1)
            busy.append(httpx.post(f"{server.url}/v1/animate", content=SOUND))
            time.sleep(0.8)

        busy: list[httpx.Response] = []
        assert client.post("/v1/animate", content=slow()).status_code == 408
        assert (busy[0].status_code, busy[0].headers["retry-after"]) == (503, "1")
        assert server.metric("codetalker_recordings") == 0


def test_work_ends_when_its_client_goes(models: Models) -> None:
    """And when it takes too long; the next recording is animated all the same."""
    long = wav(np.tile(pcm(60.0), 20))
    with served(models, Limits(job=12.0)) as server, server.client() as client:
        before = set(children())
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            head = f"POST /v1/animate?format=mp4 HTTP/1.1\r\nHost: {host}\r\n"
            line.sendall(f"{head}Content-Length: {len(long)}\r\n\r\n".encode() + long)
            assert until(lambda: set(children()) - before)
        assert until(lambda: not set(children()) - before)
        assert until(lambda: server.metric("codetalker_recordings") == 0)
        answer = client.post("/v1/animate", content=long, params={"format": "mp4"})
        assert (answer.status_code, "longer than 12 s" in answer.text) == (422, True)
        assert client.post("/v1/animate", content=SOUND).status_code == 200
    assert not set(children()) - before


def test_a_process_that_breaks_down_costs_one_recording(models: Models) -> None:
    with served(models) as server, server.client() as client:
        assert client.post("/v1/animate", content=SOUND).status_code == 200
        for pid in children():
            if b"codetalker.server.work" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 11)
        assert client.post("/v1/animate", content=SOUND).status_code in (200, 422)
        assert client.post("/v1/animate", content=SOUND).status_code == 200


def test_nothing_is_left_of_a_request(
    server: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with server.client() as client:
        assert client.post("/v1/animate", content=SOUND).status_code == 200
        assert client.post("/v1/animate", content=b"none").status_code == 422
    assert until(lambda: not [*tmp_path.iterdir()])


def test_neurosync_players_are_answered(server: Served, models: Models) -> None:
    """A WAV without a type in; 60 rows a second of Live Link Face's 61 values out."""
    with server.client() as client:
        answer = client.post("/audio_to_blendshapes", content=EXAMPLE.read_bytes())
        short = client.post("/audio_to_blendshapes", content=wav(pcm(0.05)))
    rows = np.array(answer.json()["blendshapes"])
    wanted = models.talker(None).animate(EXAMPLE, fps=60)
    assert answer.headers["content-type"] == "application/json"
    assert rows.shape == (len(wanted), 61)
    np.testing.assert_allclose(rows[:, :52], wanted.weights_for(ARKIT_NAMES), atol=1e-5)
    assert ARKIT_NAMES.index("jawLeft") < ARKIT_NAMES.index("jawRight")
    assert 0 <= rows[:, :52].min() <= rows[:, :52].max() <= 1
    assert len(short.json()["blendshapes"]) == 18


def test_facts(server: Served) -> None:
    with server.client() as client:
        facts = client.get("/v1/models").json()
        assert (facts["for_files"], facts["for_streams"]) == ("live", "live")
        (model,) = facts["models"]
        assert (model["fps"], model["latency"]) == (25, pytest.approx(0.2))
        assert {"neutral", "s1"} <= {*model["styles"]}
        assert {"glb", "json", "mp4"} <= {*model["formats"]}
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.post("/v1/animate", content=SOUND).status_code == 200
        text = client.get("/metrics").text
    assert 'codetalker_requests_total{path="/v1/animate",status="200"}' in text
    assert "codetalker_turn_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text


def test_the_page_and_nothing_else_is_at_the_root(server: Served) -> None:
    with server.client() as client:
        assert "<title>" in client.get("/").text
        assert client.get("/model/config.json").json()["family"] == "default"
        for path in (
            "/..%2f..%2fetc/passwd",
            "/model/../../x",
            "/assets",
            "/model/",
            "/%00",
            "/docs",
        ):
            assert client.get(path).status_code == 404, path
        assert client.post("/").status_code == 405


def test_errors_of_the_router_are_json(server: Served) -> None:
    with server.client() as client:
        for answer in (client.get("/nothing"), client.get("/v1/animate"), client.put("/v1/models")):
            assert answer.status_code in (404, 405)
            assert answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:80"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "192.168.1.7"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:80"}, 403),
        ({"host": "localhost@evil.example"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"host": "localhost:80", "origin": "http://localhost:80"}, 200),
    ],
)
def test_names_and_origins(server: Served, headers: dict[str, str], status: int) -> None:
    with server.client() as client:
        answer = client.get("/v1/models", headers=headers)
        assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers
        posted = client.post("/v1/animate", content=b"none", headers=headers)
        assert posted.status_code == (422 if status == 200 else 403)


def test_a_page_of_another_site_gets_no_stream(server: Served) -> None:
    with pytest.raises(InvalidStatus) as refused, server.connect(origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    assert b"--allow-origin" in refused.value.response.body
    with server.connect(origin=server.url):
        pass


def test_other_sites_that_the_owner_allows(models: Models) -> None:
    access = Access(hosts=["talk.example"], origins=["https://app.example"])
    with served(models, access=access) as server, server.client() as client:
        headers = {"origin": "https://app.example", "host": "talk.example"}
        answer = client.get("/v1/models", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        asked = {**headers, "access-control-request-method": "POST"}
        assert client.options("/v1/animate", headers=asked).status_code == 200
        assert client.get("/v1/models", headers={"origin": "https://b.example"}).status_code == 403
        with server.connect(origin="https://app.example"):
            pass


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"authorization": f"bearer  {TOKEN}"}, 200),
        ({"API-Key": TOKEN}, 200),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"API-Key": ""}, 401),
        ({"Authorization": b"Bearer \xff\xfe"}, 401),
    ],
)
def test_a_token_is_wanted_for_all_but_health_and_page(
    guarded: Served, headers: dict, status: int
) -> None:
    with guarded.client(headers=headers) as client:
        for path in ("/v1/models", "/metrics"):
            assert client.get(path).status_code == status
        posted = client.post("/v1/animate", content=b"none").status_code
        assert posted == (422 if status == 200 else 401)
        posted = client.post("/audio_to_blendshapes", content=SOUND).status_code
        assert posted == status
        for path in ("/healthz", "/", "/openapi.json"):
            assert client.get(path).status_code == 200
    if all(isinstance(value, str) for value in headers.values()):
        try:
            with guarded.connect(additional_headers=headers):
                assert status == 200
        except InvalidStatus as refused:
            assert refused.response.status_code == status


@pytest.fixture(scope="module")
def guarded(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    page = tmp_path_factory.mktemp("page")
    (page / "index.html").write_text("hello")
    with served(models, access=Access(TOKEN), page=page) as one:
        yield one


def test_the_description_says_what_is_wanted(guarded: Served, server: Served) -> None:
    for one, secure in ((guarded, True), (server, False)):
        with one.client() as client:
            told = client.get("/openapi.json").json()
        assert {*told["paths"]} == {
            "/v1/animate", "/v1/models", "/audio_to_blendshapes", "/healthz", "/metrics",
        }  # fmt: skip
        animate = told["paths"]["/v1/animate"]["post"]
        assert ("security" in animate) == secure
        assert "security" not in told["paths"]["/healthz"]["get"]
        assert {"200", "413", "415", "422", "503"} <= animate["responses"].keys()
