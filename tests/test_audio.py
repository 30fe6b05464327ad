"""Sound in: every recording gives a waveform or one clear line, and there is one resampler."""

from __future__ import annotations

import copy
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin, resample_poly

from codetalker.audio import SAMPLE_RATE, StreamResampler, Waveform
from codetalker.errors import AudioError, SoundWarning
from conftest import load_apart, write_sound

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"


def write_silent_film(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            picture = np.zeros((64, 64, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode(None))
    return path


def write_8_bit_silence(path: Path, seconds: int, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(rate)
        for _ in range(seconds):
            file.writeframes(b"\x80" * 8000)
    return path


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(
        np.float32
    )


def test_a_file_gives_its_samples_exactly() -> None:
    sound = Waveform.load(EXAMPLE)
    with av.open(str(EXAMPLE)) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
    np.testing.assert_array_equal(sound.samples, np.concatenate(frames, 1)[0] / np.float32(32768))
    assert sound.rate == SAMPLE_RATE
    assert sound.duration == 6.05


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("wav", "pcm_u8"),
        ("wav", "pcm_f32le"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("m4a", "aac"),
        ("ogg", "libopus"),
    ],
)
def test_every_format_sounds_the_same(tmp_path: Path, suffix: str, codec: str) -> None:
    sound = np.round(tone(48000) * 32767).astype(np.int16)[:, None]
    path = write_sound(tmp_path / f"a.{suffix}", sound, 48000, codec)
    heard = Waveform.load(path).samples
    assert abs(len(heard) - SAMPLE_RATE) < 0.1 * SAMPLE_RATE  # lossy codecs pad by a frame or two
    middle = heard[4000:12000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(8000)))
    assert np.argmax(spectrum) * SAMPLE_RATE / 8000 == pytest.approx(440, abs=2)
    assert middle.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.06)  # MP3 changes the level


def constant(path: Path, layout: str, channels: int, heard: dict[int, int]) -> Waveform:
    """A second of channels that are constants."""
    sound = np.zeros((48000, channels), np.int16)
    for channel, value in heard.items():
        sound[:, channel] = value
    return Waveform.load(write_sound(path, sound, 48000, layout=layout))


def test_two_channels_are_mixed_by_their_mean(tmp_path: Path) -> None:
    mixed = constant(tmp_path / "a.wav", "stereo", 2, {0: 12000})
    np.testing.assert_allclose(mixed.samples[1000:-1000], 6000 / 32768, atol=2e-5)


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("7.1", 8), ("3.0", 3)])
def test_speech_in_the_centre_is_heard_as_loud_as_alone(
    tmp_path: Path, layout: str, channels: int
) -> None:
    centre = constant(tmp_path / "a.wav", layout, channels, {2: 12000})
    np.testing.assert_allclose(centre.samples[1000:-1000], 12000 / 32768, atol=2e-5)
    left = constant(tmp_path / "b.wav", layout, channels, {0: 12000})
    np.testing.assert_allclose(left.samples[1000:-1000], 0.7071 * 12000 / 32768, atol=2e-5)


def test_rumble_is_no_speech_and_channels_without_a_centre_have_their_mean(tmp_path: Path) -> None:
    rumble = constant(tmp_path / "a.wav", "5.1", 6, {3: 12000})
    np.testing.assert_allclose(rumble.samples[1000:-1000], 0, atol=2e-5)
    quad = constant(tmp_path / "b.wav", "quad", 4, {3: 12000})
    np.testing.assert_allclose(quad.samples[1000:-1000], 3000 / 32768, atol=2e-5)


def test_channels_that_cancel_are_told_and_the_louder_one_is_heard(tmp_path: Path) -> None:
    voice = (20000 * tone(48000)).astype(np.int16)
    against = np.stack([(0.9 * voice).astype(np.int16), -voice], axis=1)
    path = write_sound(tmp_path / "a.wav", against, 48000, layout="stereo")
    with pytest.warns(SoundWarning, match="cancel each other"):
        heard = Waveform.load(path).samples
    assert heard.std() == pytest.approx(20000 / 32768 * tone(48000).std(), rel=0.01)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
def test_a_tone_keeps_its_frequency_and_phase_at_every_rate(rate: int) -> None:
    heard = Waveform.of(tone(rate), rate).samples
    edge = 200  # outside the recording is silence, which the kernel sees at the ends
    np.testing.assert_allclose(heard[edge:-edge], tone(SAMPLE_RATE)[edge:-edge], atol=1e-4)


def test_resampling_agrees_with_scipy_and_removes_what_would_alias() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=48000).astype(np.float32) * 0.1
    smooth = np.convolve(noise, firwin(801, 5000, fs=48000), "same").astype(np.float32)
    ours = Waveform.of(smooth, 48000).samples
    theirs = resample_poly(smooth.astype(np.float64), 1, 3, window=firwin(2001, 7500, fs=48000))
    np.testing.assert_allclose(ours[100:-100], theirs[100:-100], atol=2e-4 * np.abs(ours).max())
    high = Waveform.of(tone(48000, hertz=8200.0), 48000).samples[200:-200]
    assert high.std() < 1e-4 * 0.5  # 80 dB


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 44101]),
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=12),
)
def test_every_chunking_gives_the_same_bits(rate: int, sizes: list[int]) -> None:
    sound = np.random.default_rng(sum(sizes)).normal(size=sum(sizes)).astype(np.float32) * 0.1
    stream = StreamResampler(rate)
    ends = np.cumsum(sizes)
    chunks = [stream.feed(sound[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    live = np.concatenate([*chunks, stream.finish()])
    assert len(live) == -(-len(sound) * SAMPLE_RATE // rate)
    if len(sound):
        np.testing.assert_array_equal(live, Waveform.of(sound, rate).samples)


def test_a_live_chunk_is_answered_within_six_milliseconds_of_its_end() -> None:
    stream = StreamResampler(48000)
    out = sum(len(stream.feed(np.zeros(480, np.float32))) for _ in range(50))
    assert out >= (0.5 - 0.006) * SAMPLE_RATE


def test_a_copied_stream_goes_on_like_the_original() -> None:
    stream = StreamResampler(44100)
    stream.feed(tone(44100, 0.1))
    twin = copy.deepcopy(stream)
    np.testing.assert_array_equal(stream.feed(tone(44100, 0.1)), twin.feed(tone(44100, 0.1)))


def test_integers_are_scaled_by_their_range() -> None:
    for kind, full in [(np.int8, -128), (np.int16, -32768), (np.int32, -(2**31))]:
        assert Waveform.of(np.full(9, full, kind), SAMPLE_RATE).samples == pytest.approx(-1)
    assert Waveform.of(np.full(9, 0, np.uint8), SAMPLE_RATE).samples == pytest.approx(-1)
    assert Waveform.of(np.full(9, 128, np.uint8), SAMPLE_RATE).samples == pytest.approx(0)


def test_resampled_there_and_back_is_the_same_sound() -> None:
    sound = Waveform.of(tone(SAMPLE_RATE), SAMPLE_RATE)
    back = sound.resampled(48000).resampled(SAMPLE_RATE)
    np.testing.assert_allclose(back.samples[400:-400], sound.samples[400:-400], atol=1e-4)
    assert sound.resampled(SAMPLE_RATE) is sound


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(SAMPLE_RATE, np.int16), SAMPLE_RATE),  # silence
        (np.tile(np.array([32767, -32768], np.int16), 8000), SAMPLE_RATE),  # clipped
        (np.ones(1, np.int16), 192000),  # shorter than one sample of the result
        (np.ones(100, np.int16), 8000),  # shorter than one frame of motion
    ],
    ids=["silence", "clipped", "one sample", "short"],
)
def test_odd_but_usable_recordings_give_a_waveform(
    tmp_path: Path, samples: np.ndarray, rate: int
) -> None:
    sound = Waveform.load(write_sound(tmp_path / "a.wav", samples[:, None], rate))
    assert len(sound.samples) == -(-len(samples) * SAMPLE_RATE // rate)
    assert np.isfinite(sound.samples).all()


def test_an_hour_takes_less_than_half_a_gigabyte(tmp_path: Path) -> None:
    path = write_8_bit_silence(tmp_path / "a.wav", 3600)
    seconds, kilobytes = load_apart(path)
    assert seconds == 3600
    assert kilobytes < 500_000


def test_a_damaged_part_of_a_file_is_skipped(tmp_path: Path) -> None:
    sound = (tone(16000, 3.0) * 32767).astype(np.int16)[:, None]
    path = write_sound(tmp_path / "a.mp3", sound, 16000, "libmp3lame")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = b"\xff" * 600
    path.write_bytes(data)
    assert Waveform.load(path).duration > 2.0


def not_finite(folder: Path, value: float) -> Path:
    sound = tone(SAMPLE_RATE)[:, None].copy()
    sound[100] = value
    return write_sound(folder / "a.wav", sound, codec="pcm_f32le")


BAD_FILES = {
    "missing": (lambda folder: folder / "no.wav", "does not exist"),
    "directory": (lambda folder: folder, "is a directory"),
    "empty file": (lambda folder: touch(folder / "a.wav", b""), "is an empty file"),
    "not audio": (lambda folder: touch(folder / "a.wav", b"hello\n" * 99), "is not an audio or"),
    "header only": (
        lambda folder: write_8_bit_silence(folder / "a.wav", 0),
        "holds no sound samples",
    ),
    "absurd rate": (
        lambda folder: write_8_bit_silence(folder / "a.wav", 1, 2_000_000_000),
        "sample rate 2000000000 is no",
    ),
    "silent film": (lambda folder: write_silent_film(folder / "a.mp4"), "has no sound track"),
    "NaN": (lambda folder: not_finite(folder, np.nan), "NaN or infinite"),
    "infinite": (lambda folder: not_finite(folder, -np.inf), "NaN or infinite"),
    "not normalised": (lambda folder: not_finite(folder, 20000.0), "full scale is 1"),
    "playlist": (
        lambda folder: touch(folder / "a.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"),
        "is not an audio or",
    ),
}


def touch(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gives_one_line_that_names_it(tmp_path: Path, case: str) -> None:
    make, message = BAD_FILES[case]
    path = make(tmp_path)
    with pytest.raises(AudioError, match=message) as caught:
        Waveform.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0), 16000, "no sound samples"),
        (np.zeros((2, 16000)), 16000, "pass \\(samples,\\)"),
        (np.zeros((2, 2, 2)), 16000, "pass \\(samples,\\)"),
        (np.zeros((9, 0)), 16000, "pass \\(samples,\\)"),
        (np.array([0.0, np.nan]), 16000, "NaN"),
        (np.zeros(9, np.int64), 16000, "int64"),
        (np.zeros(9, complex), 16000, "complex"),
        (np.full(9, 3000.0), 16000, "full scale"),
        (np.zeros(9), 0, "sample rate"),
        (np.zeros(9), np.nan, "sample rate"),
        (np.zeros(9), 44100.5, "sample rate"),
    ],
)
def test_a_bad_array_gives_one_line(samples: np.ndarray, rate: float, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        Waveform.of(samples, rate)


def test_an_array_of_channels_that_cancel_is_heard() -> None:
    """In the second in which they do; the other one keeps its mean."""
    voice = tone(48000)
    apart = np.concatenate([np.stack([voice, voice / 2], 1), np.stack([voice, -voice], 1)])
    with pytest.warns(SoundWarning, match="cancel each other"):
        heard = Waveform.of(apart, 48000).samples
    for part, level in ((slice(1000, 15000), 0.75), (slice(17000, 31000), 1.0)):
        assert heard[part].std() == pytest.approx(level * voice.std(), rel=0.01)


@pytest.mark.parametrize(("rate", "nyquist"), [(48000, 8000), (8000, 4000), (44100, 8000)])
def test_the_band_is_as_wide_as_documented(rate: int, nyquist: int) -> None:
    """Flat to 0.89 of the lower Nyquist frequency, 90 dB down from 1.01 of it."""
    kept = Waveform.of(tone(rate, hertz=0.89 * nyquist), rate).samples[400:-400]
    assert kept.std() == pytest.approx(tone(rate).std(), rel=2e-3)
    beyond = 1.01 * nyquist if rate > SAMPLE_RATE else 0.99 * nyquist
    rest = Waveform.of(tone(rate, hertz=beyond), rate).samples[400:-400]
    if rate > SAMPLE_RATE:
        assert rest.std() < 10 ** (-88 / 20) * tone(rate).std()
    else:  # what lies as far beyond the band as the tone is below it, its image, is gone
        spectrum = np.abs(np.fft.rfft(rest * np.hanning(len(rest))))
        image = round((rate - 0.89 * nyquist) * len(rest) / SAMPLE_RATE)
        assert spectrum[image - 5 : image + 5].max() < 1e-4 * spectrum.max()


@pytest.mark.parametrize("kind", [np.int64, np.complex64, bool, object])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_types_that_are_no_sound_are_refused_whatever_the_channels(
    kind: type, channels: int
) -> None:
    with pytest.raises(AudioError, match="are not sound"):
        Waveform.of(np.ones((160, channels), kind), 16000)
