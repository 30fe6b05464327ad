"""What `fuzz.py` starts from: for each kind its small files, and who reads them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

import codetalker
from character_file import Bone, ShapedMesh, character
from codetalker.arkit import ARKIT_NAMES
from codetalker.audio import Waveform
from codetalker.data.corpus import read_corpus, read_takes
from codetalker.data.phones import PhoneClip, read_phones, write_flac, write_phones
from codetalker.data.seen import read_seen
from codetalker.files.mesh import Mesh, read_mesh, write_obj, write_ply
from codetalker.model_folder import CONFIG, file_digest
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.vertex_motion import VertexMotion

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

VERTICES = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
TRIANGLES = np.arange(9, dtype=np.int32).reshape(3, 3)
CODECS = {
    "wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "ogg": "libopus", "mp4": "aac",
    "mkv": "aac", "aiff": "pcm_s16be", "ts": "aac", "w64": "pcm_f32le", "avi": "libmp3lame",
}  # fmt: skip


def recordings(folder: Path) -> None:
    tone = (np.sin(np.arange(9600) / 9) * 9000).astype(np.int16)
    for suffix, codec in CODECS.items():
        with av.open(str(folder / f"a.{suffix}"), "w") as file:
            stream = file.add_stream(codec, rate=48000, layout="mono")
            stream.codec_context.open()
            frame = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
            frame.sample_rate = 48000
            size = stream.codec_context.frame_size or 0
            wanted = av.AudioResampler(stream.codec_context.format, "mono", 48000, size)
            for piece in [*wanted.resample(frame), *wanted.resample(None)]:
                file.mux(stream.encode(piece))
            file.mux(stream.encode(None))


def motions(folder: Path) -> None:
    weights = np.random.default_rng(1).random((20, 52)).astype(np.float32)
    head = np.zeros((20, 3), np.float32)
    Motion(weights, bundled_head().blendshape_names, 25.0, head=head).save(folder / "a.npz")


def vertices(folder: Path) -> None:
    moved = VERTICES + np.zeros((5, 1, 1), np.float32)
    VertexMotion(moved, VERTICES, 25.0, TRIANGLES).save(folder / "a.npz")


def meshes(folder: Path) -> None:
    write_ply(folder / "a.ply", Mesh(VERTICES, TRIANGLES))
    write_obj(folder / "b.obj", Mesh(VERTICES, TRIANGLES))
    np.save(folder / "c.npy", VERTICES)
    rows = "\n".join(" ".join(map(str, row)) for row in VERTICES)
    header = "element vertex 9\nproperty float x\nproperty float y\nproperty float z\n"
    header += "element face 2\nproperty list uchar int vertex_index\nproperty uchar red\n"
    faces = "3 0 1 2 9\n4 1 2 3 4 9\n"
    (folder / "d.ply").write_text(
        f"ply\nformat ascii 1.0\ncomment x\n{header}end_header\n{rows}\n{faces}"
    )
    polygons = bytes([3]) + np.array([0, 1, 2], ">i4").tobytes() + b"\x07"
    polygons += bytes([4]) + np.array([1, 2, 3, 4], ">i4").tobytes() + b"\x07"
    big = f"ply\nformat binary_big_endian 1.0\n{header}end_header\n".encode()
    (folder / "e.ply").write_bytes(big + VERTICES.astype(">f4").tobytes() + polygons)


def characters(folder: Path) -> None:
    chance = np.random.default_rng(0)
    names = (*ARKIT_NAMES[:30], "Fcl_MTH_A", "viseme_aa")
    targets = {name: chance.normal(size=(40, 3)) for name in names}
    triangles = np.arange(39).reshape(13, 3)
    bones = (Bone("Hips", -1, (0, 0, 0)), Bone("mixamorig:Head", 0, (0, 1, 0)))
    shares = np.tile([0.4, 0.6], (40, 1))
    mesh = ShapedMesh("Face", chance.normal(size=(40, 3)), triangles, targets, shares=shares)
    (folder / "a.glb").write_bytes(character([mesh], bones))
    (folder / "b.glb").write_bytes(character([mesh], sparse=True))
    vowels = {"aa": {"morphTargetBinds": [{"node": 0, "index": 1, "weight": 1.0}]}}
    plain = ShapedMesh("Face", mesh.vertices, triangles, targets)
    vrm = {"VRMC_vrm": {"humanoid": {"humanBones": {}}, "expressions": {"preset": vowels}}}
    (folder / "c.glb").write_bytes(character([plain], quantised=True, extensions=vrm))


def corpora(folder: Path) -> None:
    for name in ("x", "y"):
        write_flac(folder / "audio" / f"{name}.flac", np.zeros(1600, np.float32))
    np.savez_compressed(
        folder / "motion.npz",
        names=np.array(["x", "y"]),
        weights=np.random.default_rng(1).random((20, 52)).astype(np.float32),
        starts=np.array([0, 9]),
        lengths=np.array([9, 11]),
        fps=np.float32(25),
        speaker=np.array(["a", "b"]),
        split=np.array(["train", "val"]),
        blendshape_names=np.array(bundled_head().blendshape_names),
    )
    np.savez(
        folder / "lip_gap.npz",
        names=np.array(["x", "y"]),
        starts=np.array([0, 5]),
        lengths=np.array([5, 5]),
        time=np.arange(10) / 25,
        gap=np.full(10, 0.1),
        width=np.full(10, 0.5),
    )
    words = {"x": [[0, 0.1, "sil"], [0.1, 0.3, "yes"]], "y": []}
    (folder / "align.json").write_text(json.dumps({"words": words}))
    edges = np.array([0.0, 0.05, 0.1])
    clip = PhoneClip("x", folder, ("sil", "p"), edges[:-1], edges[1:], "en", "v", "made", "text")
    write_phones(folder, [clip])


def bundles(folder: Path) -> None:
    from tiny_model import export_tiny

    export_tiny(folder / "model")


def states(folder: Path) -> None:
    bundles(folder)
    live = codetalker.load(folder / "model").stream(rate=44100)
    live.feed(np.sin(np.arange(30000) / 20) / 2)
    (folder / "state.npz").write_bytes(live.state.to_bytes())


def _read_corpora(path: Path) -> None:
    readers = {"motion.npz": _read_motion_npz, "lip_gap.npz": read_seen, "phones.json": read_phones}
    readers.get(path.name, _read_motion_npz)(path.parent)


def _read_motion_npz(folder: Path) -> None:
    read_corpus(folder)
    read_takes(folder, 25)


def _read_bundle(path: Path) -> None:
    config = path.parent / CONFIG
    content = config.read_bytes()
    if path.suffix != ".json":  # the file is whole, but not what it should be
        known = json.loads(content)
        known["files"][path.name] = file_digest(path)
        config.write_text(json.dumps(known))
    try:
        talker = codetalker.load(path.parent)
        talker.animate(np.sin(np.arange(9600) / 20) / 2, rate=16000)
        str(talker.facts)
    finally:
        if path.suffix != ".json":
            config.write_bytes(content)


def _read_state(path: Path) -> None:
    talker = codetalker.load(path.parent / "model")
    live = talker.resume(path.read_bytes())
    live.feed(np.zeros(9000))
    live.finish()


def _read_character(path: Path) -> None:
    face = codetalker.Character.load(path)
    weights = np.random.default_rng(0).random((5, 52), np.float32)
    Motion(weights, ARKIT_NAMES, 25.0, head=weights[:, :3]).on(face).save(path.with_suffix(".vrm"))


Read = Callable[[Path], object]
KINDS: dict[str, tuple[Callable[[Path], None], str, Read]] = {
    "recordings": (recordings, "*", Waveform.load),
    "motions": (motions, "*", lambda path: Motion.load(path).resample(30)),
    "vertices": (vertices, "*", VertexMotion.load),
    "meshes": (meshes, "*", read_mesh),
    "characters": (characters, "*.glb", _read_character),
    "corpora": (corpora, "*.*", _read_corpora),
    "bundles": (bundles, "model/*", _read_bundle),
    "states": (states, "*.npz", _read_state),
}
"""Of each kind: what makes its files, which of them are changed, and what reads one of them."""
