"""The published model through the public door: folders in, vertex motion out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from codetalker.audio import Waveform  # noqa: E402
from codetalker.errors import AudioError, ModelError, OptionError, RigError, StyleError  # noqa: E402
from codetalker.files.mesh import Mesh, write_obj  # noqa: E402
from codetalker.paper.folder import write_model  # noqa: E402
from codetalker.paper.inference import Predictor  # noqa: E402
from codetalker.paper.runtime import PaperTalker  # noqa: E402
from codetalker.vertex_motion import VertexMotion  # noqa: E402
from paper_random import one_style, random_model  # noqa: E402

RANDOM = np.random.default_rng(0)
FACE = Mesh(
    RANDOM.normal(size=(60, 3)).astype(np.float32),
    RANDOM.integers(60, size=(100, 3)).astype(np.int32),
)
SPEECH = Waveform(RANDOM.normal(size=16_000).astype(np.float32) / 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny"
    model = random_model("vocaset")
    write_model(path, model.config, model.state_dict(), FACE)
    return path


@pytest.fixture(scope="module")
def talker(folder):
    return PaperTalker.load(folder)


def test_motion_is_template_plus_prediction(talker):
    motion = talker.animate(SPEECH)
    assert isinstance(motion, VertexMotion)
    model = talker.model
    samples = torch.from_numpy(SPEECH.samples)
    normal = (samples - samples.mean()) / torch.sqrt(samples.var(correction=0) + 1e-5)
    style = one_style(model.config, model.config.talker.subjects.index(talker.styles[0]))
    predicted = Predictor(model).predict([normal], style[None])[0]
    offsets = predicted.motion.reshape(-1, 60, 3).numpy()
    np.testing.assert_allclose(motion.vertices, FACE.vertices + offsets, atol=2e-5)
    assert (motion.fps, len(motion)) == (30.0, 29)
    assert motion.triangles is not None
    assert motion.audio is SPEECH


def test_the_public_door_opens_paper_folders(folder):
    import codetalker

    motion = codetalker.load(folder).animate(SPEECH)
    assert isinstance(motion, VertexMotion)


def test_the_whole_way_to_files(talker, tmp_path):
    motion = talker.animate(SPEECH, mode="fast")
    for suffix in (".npz", ".glb", ".mp4", ".ply"):
        assert motion.save(tmp_path / f"out{suffix}").exists()


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_the_same_input_gives_the_same_output(talker, mode):
    one, two = (talker.animate(SPEECH, mode=mode, seed=seed).vertices for seed in (0, 1))
    assert np.array_equal(one, two)


def test_the_default_style_is_the_first_and_the_config_s(talker):
    first = talker.styles[0]
    assert first == talker.config.talker.default_subject
    assert sorted(talker.styles) == sorted(talker.config.talker.subjects)
    assert np.array_equal(
        talker.animate(SPEECH).vertices, talker.animate(SPEECH, style=first).vertices
    )


def test_blends_lie_between_styles_and_are_normalised(talker):
    a, b = talker.styles[:2]

    def vertices(style):
        return talker.animate(SPEECH, style=style).vertices

    assert np.array_equal(vertices(f"{a}:1,{b}:0"), vertices(a))
    assert np.array_equal(vertices(f" {a}:0.25, {b}:0.75"), vertices({a: 1, b: 3}))
    assert not np.array_equal(vertices({a: 1, b: 3}), vertices(a))


@pytest.mark.parametrize("style", ["nobody", "{a}:x", "{a}:-1", "{a}:0", "{a}:nan", "{a}:1,"])
def test_impossible_styles_are_refused(talker, style):
    with pytest.raises(StyleError):
        talker.animate(SPEECH, style=style.format(a=talker.styles[0]))


def test_a_misspelt_style_names_the_nearest(talker):
    with pytest.raises(StyleError, match=talker.styles[3]):
        talker.animate(SPEECH, style=talker.styles[3].lower())


def test_strength_scales_the_motion_and_zero_is_rest(talker):
    normal = talker.animate(SPEECH).vertices - FACE.vertices
    half = talker.animate(SPEECH, strength=0.5).vertices - FACE.vertices
    np.testing.assert_allclose(half, normal / 2, atol=1e-6)
    still = talker.animate(SPEECH, strength=0).vertices
    assert np.array_equal(still, np.broadcast_to(FACE.vertices, still.shape))
    with pytest.raises(OptionError, match="strength"):
        talker.animate(SPEECH, strength=-1)


def test_another_frame_rate_keeps_the_duration(talker):
    motion = talker.animate(SPEECH, fps=60)
    assert motion.fps == 60
    assert len(motion) == 58
    with pytest.raises(OptionError, match="fps"):
        talker.animate(SPEECH, fps=-1)


def test_codes_and_progress_are_told(talker):
    calls = []
    motion = talker.animate(SPEECH, progress=lambda *call: calls.append(call))
    assert motion.codes.shape == (len(motion), 4)
    assert motion.codes.dtype == np.int64
    assert motion.resample(60).codes is None
    assert [total for _, total in calls] == [1.0] * len(motion)
    assert calls[-1][0] == pytest.approx(len(motion) / 30)


def test_any_face_of_the_topology_takes_the_same_motion(talker, tmp_path):
    other = FACE.vertices * 1.1
    write_obj(tmp_path / "other.obj", Mesh(other, FACE.triangles))
    offsets = talker.animate(SPEECH).vertices - FACE.vertices
    for face in (other, Mesh(other), tmp_path / "other.obj"):
        motion = talker.animate(SPEECH, template=face)
        np.testing.assert_allclose(motion.vertices - other, offsets, atol=1e-6)
        assert motion.triangles is not None
    with pytest.raises(OptionError, match="topology"):
        talker.animate(SPEECH, template=other[:-1])
    with pytest.raises(RigError, match=r"none\.ply"):
        talker.animate(SPEECH, template="none.ply")


def test_a_model_without_a_face_asks_for_one(talker):
    with pytest.raises(ModelError, match=r"give a template.* 60 vertices"):
        PaperTalker(talker.model).animate(SPEECH)
    bare = PaperTalker(talker.model).animate(SPEECH, template=FACE.vertices)
    assert bare.triangles is None


def test_arrays_come_with_their_rate(talker):
    motion = talker.animate(np.tile(SPEECH.samples[:, None], (1, 2)), rate=16_000)
    assert np.array_equal(motion.vertices, talker.animate(SPEECH).vertices)
    with pytest.raises(AudioError, match="rate"):
        talker.animate(SPEECH.samples)


def test_speech_too_short_for_a_frame_says_how_long_it_must_be(talker):
    samples = SPEECH.samples
    with pytest.raises(AudioError, match=r"44 ms of sound are too short.* 45 ms"):
        talker.animate(Waveform(samples[:710]))
    assert len(talker.animate(Waveform(samples[:720]))) == 1


@pytest.mark.parametrize("sound", [np.zeros, np.ones])
def test_silence_gives_a_result(talker, sound):
    motion = talker.animate(Waveform(sound(8000, np.float32)))
    assert np.isfinite(motion.vertices).all()


def test_half_precision_stays_near_and_keeps_the_codebook(folder):
    talker = PaperTalker.load(folder, precision="bfloat16")
    assert talker.model.codec.quantizer.embedding.weight.dtype == torch.float32
    assert talker.model.talker.styles.weight.dtype == torch.bfloat16
    motion = talker.animate(SPEECH)
    assert motion.vertices.dtype == np.float32
    assert np.isfinite(motion.vertices).all()
    # Before a code can differ: what the decoder hears. bfloat16 rounds to 2^-9 of a value at most;
    # some forty roundings, one after another, add up as their root to 0.012. Against float64, 24
    # random models gave 0.008 to 0.015; the limit is twice that.
    samples = torch.from_numpy(SPEECH.samples)[None]
    with torch.inference_mode():
        exact = PaperTalker.load(folder).model.talker.hear(samples)
        near = talker.model.talker.hear(samples.bfloat16()).float()
    assert 0 < (near - exact).norm() < 0.03 * exact.norm()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_convolves_in_float32_on_a_processor(folder, precision):
    """Those of oneDNN 3.12.0 in bfloat16 are not to be trusted where there is AMX."""
    inputs = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            if function is torch.ops.aten.convolution.default:
                inputs.update(tensor.dtype for tensor in arguments[:2])
            return function(*arguments, **(options or {}))

    talker = PaperTalker.load(folder, precision=precision)
    samples = torch.from_numpy(SPEECH.samples)[None].to(talker.model.talker.styles.weight)
    with torch.no_grad(), Watch():
        heard = talker.model.talker.hear(samples)
        config = talker.config.codec
        talker.model.codec.decode(samples.new_zeros(1, 4, config.components, config.code_width))
    assert inputs == {torch.float32}
    assert heard.dtype == samples.dtype
