"""`codetalker character`: what a user's own face has, what drives it, what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from codetalker.disk import check_file, replacing
from codetalker.errors import OutputError
from codetalker.places import check_inputs_kept

if TYPE_CHECKING:
    from codetalker.characters.character import Character


def character(
    file: Annotated[Positional[Path], arg(metavar="FACE")],
    *,
    output: Annotated[
        Path | None, arg(metavar="SHEET.png", aliases=("-o",), help_behavior_hint="")
    ] = None,
    names: Annotated[Path | None, arg(metavar="MAP", help_behavior_hint="")] = None,
) -> None:
    """Show the shapes and bones of a character, and what of a motion drives each.

    Args:
        file: a .glb or .vrm with morph targets.
        output: a picture of every shape.
        names: what drives the shapes whose names say nothing, .toml.
    """
    from codetalker.characters.character import Character

    if output is not None:
        check_inputs_kept(output, [path for path in (file, names) if path is not None])
        if output.suffix.lower() != ".png":
            raise OutputError(f"{output} is no .png; name the sheet so")
        check_file(output)
    face = Character.load(file, names)
    _show(face)
    if output is not None:
        from codetalker.characters.sheet import shape_sheet
        from codetalker.render.image import encode_png

        picture = encode_png(shape_sheet(face))
        with replacing(output) as temporary:
            temporary.write_bytes(picture)
        print(f"{output}: {len(face.shapes)} shapes")


def _show(face: Character) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = face.file.gltf
    table = Table("shape", "driven by", "meshes")
    for shape in face.shapes:
        shares = face.driven.get(shape, {})
        driven = ", ".join(f"{s} {w:g}" if w != 1 else s for s, w in shares.items())
        meshes = [file.meshes[m].name or str(m) for m, n in face.mesh_shapes.items() if shape in n]
        table.add_row(Text(shape), Text(driven), Text(", ".join(meshes)))
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)
    bones = ", ".join(f"{bone} ({file.nodes[node].name})" for bone, node in face.bones.items())
    for line in (
        f"{len(face.driven)} of {len(face.shapes)} shapes are driven, the mouth by {face.system}",
        f"bones that turn: {bones or 'none'}",
        "lips: found"
        if face.lips
        else "lips: not found, so their contact is as the shapes have it",
        face.lack or "it lacks nothing",
    ):
        console.print(Text(line), soft_wrap=True)
