"""Mesh files: ours are read by others, others' by us, and bad ones give one clear line."""

from __future__ import annotations

import struct

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
