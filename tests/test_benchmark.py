"""The benchmark: trains, measures, goes on where it was stopped, and says who wins where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark_data import BUDGET, clips_in, workshop
from codetalker.audio import Waveform
from codetalker.benchmark import results, statistics
from codetalker.benchmark.analysis import analyse
from codetalker.benchmark.figures import FIGURES
from codetalker.benchmark.films import films_of
from codetalker.benchmark.films import html_of as films_html
from codetalker.benchmark.observed import Measured, Observed
from codetalker.benchmark.protocols import Data, Protocol, protocols
from codetalker.benchmark.report import FIGURES_JSON, MARKDOWN, PAGE
from codetalker.benchmark.results import Store
from codetalker.benchmark.summary import claims, winners
from codetalker.benchmark.systems import Kind, System, static
from codetalker.causal.compared import held_out
from codetalker.causal.regression import KINDS
from codetalker.causal.talker import TalkerConfig
from codetalker.cli import main
from codetalker.commands.benchmark import run
from codetalker.data.clip import Clip
from codetalker.errors import DataError, OptionError
from codetalker.windows import SpeechWindows
from tiny_model import TALKER, WINDOWS, babble, export_tiny

COMMAND = "codetalker benchmark --corpus c -o r"


@pytest.fixture(autouse=True, scope="module")
def few_draws_of_few_clips() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "DRAWS", 300)
        patch.setattr(statistics, "FEWEST", 2)
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return clips_in(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def systems(
    clips: list[Clip], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, System]]:
    folder = tmp_path_factory.mktemp("work")
    yield {one.name: one for one in workshop(clips, folder).systems()}


@pytest.fixture(scope="module")
def report(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole benchmark with every system, on a tiny model."""
    folder = tmp_path_factory.mktemp("report")
    export_tiny(folder / "tiny")
    benchmark(clips, folder)
    return folder


def benchmark(clips: list[Clip], folder: Path, only: tuple[str, ...] = ()) -> None:
    data = Data(clips, most=2, minutes=0.4)
    shop = workshop(clips, folder / "work")
    run(shop, data, folder, [str(folder / "tiny")], (), only, COMMAND)


def test_every_system_is_measured_by_every_protocol(report: Path) -> None:
    content = json.loads((report / FIGURES_JSON).read_text())
    there = {(row["system"], row["protocol"]) for row in content["rows"]}
    names = {"tiny", "static", "ridge", "window", "transformer", "gru", "codetalker"}
    assert set(content["systems"]) == names
    asked = {"seen-speaker", "unseen-speakers", "long", "pink-20db", "babble-10db", "level",
             "silence", "diversity", "speed"}  # fmt: skip
    assert {(name, protocol) for name in names for protocol in asked} <= there
    assert content["reference"] == "tiny"
    row = next(
        row for row in content["rows"]
        if (row["system"], row["protocol"], row["figure"]) == ("gru", "seen-speaker", "lve_mm2")
    )  # fmt: skip
    low, high = row["less_reference_interval"]
    assert low <= row["less_reference"] <= high
    assert row["p"] <= row["p_holm"] <= 1


def test_the_page_needs_nothing_else_and_every_section_names_its_command(report: Path) -> None:
    page = (report / PAGE).read_text()
    assert "<script" not in page and not re.search(r'(src|href)="http', page)
    sections = re.findall(r'<h2 id="([a-z0-9-]+)">', page)
    assert sections
    for name in sections:
        assert f"<code>{COMMAND} --only {name}</code>" in page
    for heading in (
        "What was claimed",
        "Who wins where",
        "What these data do not show",
        "Closures as detection",
        "Error over time",
        "How fast lips move",
        "Codes",
    ):
        assert heading in page, heading
    assert page.count("<svg") == page.count("</svg>") > 10
    assert not re.search(r"\bnan\b", page)
    table = (report / MARKDOWN).read_text()
    assert COMMAND in table and "| ridge |" in table


def test_what_is_there_is_not_measured_again(
    report: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (report / FIGURES_JSON).read_text()

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    for name in ("_clips", "_drift", "_in_noise", "_quieter"):
        monkeypatch.setattr(f"codetalker.benchmark.protocols.{name}", refuse)
    benchmark(clips, report)
    assert (report / FIGURES_JSON).read_text() == before


def test_a_stopped_benchmark_goes_on_and_ends_the_same(
    report: Path, clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while a system is trained and while one is measured: figures are those of one go."""
    export_tiny(tmp_path / "tiny")
    only, whole, written = ("seen-speaker", "level"), results.write_json, []

    def stopping(path: Path, content: dict[str, object]) -> None:
        written.append(path)
        if len(written) in (3, 9):
            raise KeyboardInterrupt
        whole(path, content)

    monkeypatch.setattr(results, "write_json", stopping)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            benchmark(clips, tmp_path, only)
        assert not (tmp_path / PAGE).exists()
    benchmark(clips, tmp_path, only)
    assert len(written) == 2 + 7 * len(only)  # seven systems, and two results that were cut off
    ours, theirs = (
        {(r["system"], r["protocol"], r["figure"]): r["value"] for r in rows}
        for rows in (json.loads((f / FIGURES_JSON).read_text())["rows"] for f in (tmp_path, report))
    )
    assert len(ours) > 50
    for key, value in ours.items():
        assert value == pytest.approx(theirs[key], rel=1e-4, abs=1e-6), key


def test_a_model_that_changed_is_measured_anew(clips: list[Clip], tmp_path: Path) -> None:
    (protocol,) = (p for p in protocols(Data(clips)) if p.name == "seen-speaker")
    store, one = Store(tmp_path), static()
    first = store.measured(one, protocol)
    wide = replace(one, digest="1", animate=lambda sound, style, seed: jaw_open(sound))
    kept = store.measured(replace(wide, digest=one.digest), protocol)
    anew = store.measured(wide, protocol)
    assert kept.clips[0].sums == first.clips[0].sums
    assert anew.clips[0].sums["lve_mm2"] != first.clips[0].sums["lve_mm2"]


def jaw_open(sound: Waveform):
    motion = static().animate(sound, None, 0)
    motion.weights[:, 17] = 0.5
    return motion


def test_all_that_are_trained_learn_from_speech(systems: dict[str, System]) -> None:
    """Of the same speech, other motion; of other speech, other motion."""
    one, other = Waveform(babble(2, seed=50)), Waveform(babble(2, seed=51))
    for name, system in systems.items():
        a, b, again = (system.animate(s, None, 0).weights for s in (one, other, one))
        assert a.shape == (50, 52)
        np.testing.assert_array_equal(a, again)
        assert np.abs(a - b).max() > 1e-4, name
        assert a.min() >= 0 and a.max() <= 1


def test_only_the_gru_hears_what_comes_much_later(systems: dict[str, System]) -> None:
    sound = babble(3, seed=60)
    changed = sound.copy()
    changed[2 * 16000 :] = babble(1, seed=61)
    for name, system in systems.items():
        a, b = (system.animate(Waveform(s), None, 0).weights for s in (sound, changed))
        early = slice(0, round((2 - 0.4) * 25))
        differs = np.abs(a[early] - b[early]).max() > 1e-6
        assert differs == (name == "gru") == (not system.causal), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_regression_can_fit_what_it_is_shown(kind: str) -> None:
    """Motion that is linear in the window's own speech."""
    torch.manual_seed(0)
    config = replace(TALKER, speech_noise=0.0, speech_dropout=0.0, dropout=0.0)
    net = KINDS[kind](config, WINDOWS)
    features = torch.randn(8, 12, WINDOWS.kept, config.features)
    per_hop = WINDOWS.frames_per_hop
    own = features[:, :, 4:8].unflatten(2, (per_hop, -1)).mean(3).flatten(1, 2)
    target = torch.sigmoid(own[..., :1]).expand(-1, -1, 52)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    errors = []
    for _ in range(150):
        made = net(features, net.style(torch.zeros(8, dtype=torch.int64)), target * 0)
        loss = (made - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    assert errors[-1] < 0.3 * float(target.var())


def test_the_transformer_runs_on_its_own_past_as_it_was_trained_to() -> None:
    """Frame by frame it gives what it gives all at once, from the motion that it made."""
    torch.manual_seed(0)
    config: TalkerConfig = replace(TALKER, remembered=tuple(range(52)), dropout=0.0)
    windows: SpeechWindows = WINDOWS
    net = KINDS["transformer"](config, windows).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        features = torch.randn(1, 6, windows.kept, config.features)
        style = net.style(torch.tensor([0]))
        made = net.generate(features, style)
        past = torch.cat([torch.zeros_like(made[:, :1]), made[:, :-1]], 1)
        whole = net(features, style, past).clamp(0, 1)
    torch.testing.assert_close(made, whole, atol=1e-5, rtol=1e-4)
    assert made.std() > 0.01


def test_ablations_are_systems_too(clips: list[Clip], tmp_path: Path) -> None:
    budget = replace(BUDGET, steps=2, codec_steps=4, ablations=True)
    shop = workshop(clips, tmp_path, budget)
    made = list(shop.systems())
    assert len(made) == shop.count
    ablations = [one for one in made if one.kind == Kind.ABLATION]
    assert len({one.digest for one in ablations}) == len(ablations) == 6


def test_the_last_of_several_long_takes_is_held_out(clips: list[Clip]) -> None:
    long = replace(clips[0], speaker="dora", weights=np.zeros((600, 52), np.float32))
    takes = [replace(long, name=name) for name in "abc"]
    kept, held = held_out([*clips, *takes])
    assert [clip.name for clip in held] == ["c"] and held[0].split == "take"
    assert [clip.name for clip in kept if clip.speaker == "dora"] == ["a", "b"]
    assert held_out([*clips, takes[0]])[1] == []


def fake(name: str, kind: Kind, **more: object) -> System:
    return replace(static(), name=name, title=f"the {name}", kind=kind, **more)


def judged(values: dict[str, float]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Claims and winners where each system has an LVE around its value on twenty clips."""
    protocol = Protocol(
        "seen-speaker", "Seen speaker", "", "", lambda _: Measured(()), ("lve_mm2",)
    )
    kinds = {
        "model": fake("model", Kind.MODEL),
        "ridge": fake("ridge", Kind.BASELINE, regression=True),
        "gru": fake("gru", Kind.BASELINE, regression=True, latency=None),
    }
    noise = np.random.default_rng(0).normal(0, 0.1, (len(values), 20))
    found = {
        name: [Measured(tuple(
            Observed(str(i), {"lve_mm2": (value + float(d), 1.0)}) for i, d in enumerate(row)
        ))]
        for (name, value), row in zip(values.items(), noise, strict=True)
    }  # fmt: skip
    analysis = analyse([kinds[n] for n in values], [protocol], {"seen-speaker": found}, "model")
    return claims(analysis), winners(analysis)


def test_the_summary_says_who_wins() -> None:
    said, ((where, best, own, better, alike, worse),) = judged({"model": 4, "ridge": 5, "gru": 3})
    assert said[0].startswith("Yes.")  # the GRU is not causal
    assert (where, own, best) == ("Seen speaker: LVE, mm²", "3.98", "the gru 3.04")
    assert (better, alike, worse) == ("the gru", "", "the ridge")
    said, ((*_, better, alike, worse),) = judged({"model": 4, "ridge": 3, "gru": 4})
    assert said[0].startswith("No.") and "the ridge -0.98 (" in said[0]
    assert (better, alike, worse) == ("the ridge", "the gru", "")


def test_a_corpus_without_validation_clips_is_refused() -> None:
    clip = Clip("a", "anna", "val", Path("none"), np.zeros((75, 52), np.float32), 25)
    with pytest.raises(DataError, match="val"):
        protocols(Data([replace(clip, split="train")]))


def test_figures_that_are_compared_have_a_side_that_is_better(clips: list[Clip]) -> None:
    for protocol in protocols(Data(clips)):
        for name in protocol.figures:
            assert FIGURES[name].better or name == "drift"


def test_an_unknown_protocol_is_refused_with_the_nearest(clips: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="seen-speaker"):
        benchmark(clips, tmp_path, ("seen-speker",))


def test_the_command_refuses_a_corpus_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark", "--corpus", str(tmp_path / "none"), "-o", str(tmp_path / "r")]
    assert main(words) == 2
    assert "does not exist" in capsys.readouterr().err


def test_films_are_within_the_page_and_made_once(clips: list[Clip], tmp_path: Path) -> None:
    """The truth's and each system's, none of ablations; the player needs no other file."""
    short = replace(clips[4], weights=clips[4].weights[:5])
    systems = [static(), replace(static(), name="cut", kind=Kind.ABLATION)]
    films = films_of(systems, short, tmp_path, size=32)
    assert [film.title for film in films] == ["truth", "static face"]
    page = films_html(films)
    assert page.count('src="data:video/mp4;base64,') == 2 and "static face" in page
    before = [film.path.stat().st_mtime_ns for film in films]
    again = films_of(systems, short, tmp_path, size=32)
    assert [film.path.stat().st_mtime_ns for film in again] == before
