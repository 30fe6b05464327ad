"""Mesh files: ours are read by others, others' by us, and bad ones give one clear line."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from codetalker.errors import RigError
from codetalker.files.mesh import Mesh, read_mesh, write_obj, write_ply

VERTICES = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
TRIANGLES = np.array([[0, 1, 2], [2, 3, 4], [4, 5, 6]], np.int32)
WRITERS = {".ply": write_ply, ".obj": write_obj}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("triangles", [TRIANGLES, None])
def test_what_is_written_is_read_back(suffix, triangles, tmp_path):
    path = tmp_path / f"face{suffix}"
    WRITERS[suffix](path, Mesh(VERTICES, triangles))
    mesh = read_mesh(path)
    assert mesh.vertices.dtype == np.float32
    assert np.array_equal(mesh.vertices, VERTICES)
    if triangles is None:
        assert mesh.triangles is None
    else:
        assert mesh.triangles is not None
        assert np.array_equal(mesh.triangles, triangles)


@pytest.mark.parametrize("suffix", WRITERS)
def test_trimesh_reads_our_files(suffix, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / f"face{suffix}"
    WRITERS[suffix](path, Mesh(VERTICES, TRIANGLES))
    theirs = trimesh.load_mesh(path, process=False, maintain_order=True)
    np.testing.assert_allclose(theirs.vertices, VERTICES, rtol=1e-6)
    assert np.array_equal(theirs.faces, TRIANGLES)


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_trimeshs_ply_files_are_read(encoding, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / "face.ply"
    theirs = trimesh.Trimesh(VERTICES, TRIANGLES, process=False)
    theirs.visual.vertex_colors = np.full((7, 4), 128, np.uint8)  # one more property
    path.write_bytes(trimesh.exchange.ply.export_ply(theirs, encoding=encoding))
    mesh = read_mesh(path)
    np.testing.assert_allclose(mesh.vertices, VERTICES, rtol=1e-5)
    assert mesh.triangles is not None
    assert np.array_equal(mesh.triangles, TRIANGLES)


def test_big_endian_doubles_with_quads_and_another_element(tmp_path):
    header = (
        "ply\nformat binary_big_endian 1.0\nelement vertex 4\nproperty double x\n"
        "property double y\nproperty double z\nproperty uchar red\nelement edge 1\n"
        "property int vertex1\nproperty int vertex2\nelement face 2\n"
        "property list uchar uint vertex_index\nend_header\n"
    )
    square = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    body = b"".join(struct.pack(">dddB", *corner, 200) for corner in square)
    body += struct.pack(">ii", 0, 1) + struct.pack(">BIIII", 4, 0, 1, 2, 3)
    body += struct.pack(">BIII", 3, 3, 2, 1)
    path = tmp_path / "square.ply"
    path.write_bytes(header.encode() + body)
    mesh = read_mesh(path)
    assert mesh.vertices.tolist() == [[float(x) for x in corner] for corner in square]
    assert mesh.triangles is not None
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [3, 2, 1]]


def test_obj_with_slashes_negative_indices_and_polygons(tmp_path):
    path = tmp_path / "face.obj"
    path.write_text(
        "# comment\no face\nv 0 0 0 1 1 1\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvn 0 0 1\nvt 0 0\n"
        "f 1/1/1 2/1/1 3//1 4\nf -4 -3 -2\n"
    )
    mesh = read_mesh(path)
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.triangles is not None
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]


def test_vertices_alone_come_from_npy(tmp_path):
    np.save(tmp_path / "face.npy", VERTICES.astype(np.float64).reshape(1, -1))
    mesh = read_mesh(tmp_path / "face.npy")
    assert np.array_equal(mesh.vertices, VERTICES)
    assert mesh.triangles is None


def test_triangles_come_in_the_order_of_the_file(tmp_path):
    """Triangles and quads in turns, in text and in binary; lists of other elements are skipped."""
    faces = [[0, 1, 2], [1, 2, 3, 4], [2, 3, 4], [0, 1, 2, 3, 4], [], [1], [4, 5]]
    wanted = [[0, 1, 2], [1, 2, 3], [1, 3, 4], [2, 3, 4], [0, 1, 2], [0, 2, 3], [0, 3, 4]]
    header = (
        "element vertex 7\nproperty float x\nproperty float y\nproperty float z\n"
        "element strip 1\nproperty list int short tristrips\nelement nothing 1000000\n"
        f"element face {len(faces)}\nproperty uchar red\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    text = "".join(f"{' '.join(map(str, row))}\n" for row in VERTICES.tolist())
    text += "3 7 7 7\n" + "".join(f"9 {len(f)} {' '.join(map(str, f))}\n" for f in faces)
    (tmp_path / "a.ply").write_text("ply\nformat ascii 1.0\n" + header + text)
    body = VERTICES.astype("<f4").tobytes() + struct.pack("<ihhh", 3, 7, 7, 7)
    body += b"".join(struct.pack(f"<BB{len(f)}i", 9, len(f), *f) for f in faces)
    start = b"ply\r\nformat binary_little_endian 1.0\r\n"
    (tmp_path / "b.ply").write_bytes(start + header.encode().replace(b"\n", b"\r\n") + body)
    lines = [f"v {' '.join(map(str, row))}" for row in VERTICES.tolist()]
    lines += [f"f {' '.join(str(i + 1) for i in f)}" for f in faces if f]
    (tmp_path / "c.obj").write_text("\r\n".join(lines))
    for name in ("a.ply", "b.ply", "c.obj"):
        mesh = read_mesh(tmp_path / name)
        np.testing.assert_array_equal(mesh.vertices, VERTICES)
        assert mesh.triangles is not None and mesh.triangles.tolist() == wanted, name


OBJ_LINES = {
    "a byte-order mark": b"\xef\xbb\xbfv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "old line ends": b"v 0 0 0\rv 1 0 0\rv 0 1 0\rf 1 2 3\r",
    "a comment in Latin-1": b"# caf\xe9 v 9 9 9\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3",
    "joined lines": b"v 0 0 \\\n0\nv 1 0 0\nv 0 1 0\nf 1 2\\\r\n 3\n",
    "indented lines": b"  v 0 0 0\n\tv\t1 0 0\n v  0 1 0 \n f 1//2 2//2 -1\n",
    "other lines": b"vt 1 1\nvn 0 0 1\nv 0 0 0\nv 1 0 0\nv 0 1 0\nfo 1\nl 1 2\nf 1/7/8 2/8 3\n",
}


@pytest.mark.parametrize("case", OBJ_LINES)
def test_obj_files_of_all_writers_are_read_whole(case, tmp_path):
    (tmp_path / "a.obj").write_bytes(OBJ_LINES[case])
    mesh = read_mesh(tmp_path / "a.obj")
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert mesh.triangles is not None and mesh.triangles.tolist() == [[0, 1, 2]]


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(tmp_path, monkeypatch):
    path = tmp_path / "a.obj"
    path.write_bytes(b"v 0 0 0\n")
    monkeypatch.setattr("codetalker.files.mesh.MAX_BYTES", 8)
    assert len(read_mesh(path).vertices) == 1
    monkeypatch.setattr("codetalker.files.mesh.MAX_BYTES", 7)
    with pytest.raises(RigError, match="larger than"):
        read_mesh(path)
    monkeypatch.undo()
    path.write_bytes(b"#" * (64 << 20))
    with pytest.raises(RigError, match="does not hold"):
        read_mesh(path)
    with path.open("ab") as file:
        file.write(b"#")
    with pytest.raises(RigError, match="larger than 64 MiB"):
        read_mesh(path)


@pytest.mark.parametrize("shape", [(3, 7), (7, 2), (2, 3, 3), ()])
def test_an_array_of_swapped_axes_is_no_face(shape, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(RigError, match="no readable mesh"):
        read_mesh(tmp_path / "a.npy")


def ply(lines, body="", form="ascii"):
    xyz = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    text = f"ply\nformat {form} 1.0\n{lines.replace('XYZ', xyz)}\nend_header\n{body}"
    return text.encode("latin-1")


FACE = "XYZelement face 1\nproperty list uchar int vertex_indices"
THREE = "0 0 0 1 0 0 0 1 0 "
HOSTILE = {
    "immense.ply": ply("element vertex 1" + "0" * 30),
    "infinite.ply": ply("element vertex inf"),
    "minus.ply": ply("element vertex -3"),
    "hang.ply": ply("XYZelement nothing 99999999999", THREE),
    "half.ply": ply("element vertex 1.5"),
    "index.ply": ply(FACE, THREE + "3 0 1 1e30"),
    "nan.ply": ply(FACE, THREE + "3 0 1 nan"),
    "part.ply": ply(FACE, THREE + "3 0 1 0.5"),
    "negative.ply": ply(FACE, THREE + "3 0 1 -1"),
    "length.ply": ply(FACE, THREE + "1e30 0 1 2"),
    "long.ply": ply(FACE, THREE + "60000000 0 1 2"),
    "count.ply": ply(FACE, THREE + "-3 0 1 2"),
    "float.ply": ply(FACE.replace("uchar int", "float int"), THREE + "3 0 1 2"),
    "twice.ply": ply("XYZXYZ", THREE * 2),
    "double.ply": ply("XYZproperty float x", THREE),
    "early.ply": ply("property float x"),
    "other.ply": ply("XYZ", THREE, "binary_middle_endian"),
    "formless.ply": ply("XYZ", THREE).replace(b"format ascii 1.0\n", b""),
    "short.ply": ply("XYZ", "abc", "binary_little_endian"),
    "words.ply": ply("XYZ", "0 0 0 1 zero 0 0 1 0"),
    "inf.ply": ply("XYZ", "0 0 0 1 inf 0 0 1 0"),
    "large.ply": ply("XYZ", "0 0 0 1 1e39 0 0 1 0"),
    "headless.ply": b"ply\n" + b"comment x\n" * 99999,
    "zero.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n",
    "before.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -4 -1 -2\n",
    "nul.obj": b"v 0 0 0\x00\nv 1 0 0\n",
    "huge.obj": b"v 0 0 0\nf 1 1 99999999999999999999999999\n",
    "word.obj": b"v 0 0 0\nf 1 a 1\n",
    "line.obj": b"v 0 0 0\nf " + b"1 " * 999_999,
    "corners.obj": b"v 0 0 0\n" + b"f 1 1 1 1 1 1 1 1 1\n" * 500_000,
    "overflow.obj": b"v 0 0 1e39\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mesh_file_gives_one_clear_line_soon(name, tmp_path):
    (tmp_path / name).write_bytes(HOSTILE[name])
    start = time.monotonic()
    with pytest.raises(RigError) as caught:
        read_mesh(tmp_path / name)
    assert time.monotonic() - start < 5
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert "lacks" in str(caught.value) or name not in ("index.ply", "nan.ply", "negative.ply",
                                                        "zero.obj", "before.obj")  # fmt: skip


PLY = b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
BAD = {
    "absent.ply": (None, "does not exist"),
    "face.stl": (b"solid", "is no mesh file"),
    "empty.ply": (b"", "no readable mesh"),
    "cut.ply": (PLY + b"property float z\nend_header\n1 2\n", "no readable mesh"),
    "flat.ply": (PLY + b"end_header\n1 2\n", "no readable mesh"),
    "many.ply": (PLY.replace(b"vertex 1", b"vertex 9999999999"), "no readable mesh"),
    "text.ply": (PLY + b"property text z\nend_header\n1 2 3\n", "does not hold|no readable mesh"),
    "nan.obj": (b"v 0 0 nan\n", "NaN"),
    "short.obj": (b"v 0 0\n", "does not hold"),
    "mixed.obj": (b"v 0 0 0\nv 1 1\n", "no readable mesh"),
    "none.obj": (b"# nothing\n", "does not hold"),
    "far.obj": (b"v 0 0 0\nf 1 2 3\n", "lacks"),
    "pickle.npy": (b"\x93NUMPY", "no readable mesh"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_mesh_file_gives_one_clear_line(name, tmp_path):
    content, message = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RigError, match=message) as caught:
        read_mesh(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
