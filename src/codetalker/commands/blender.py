"""`codetalker blender`: the add-on that lets faces in Blender speak, as a zip to install."""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from codetalker.disk import check_file, replacing
from codetalker.errors import OutputError


def blender(output: Annotated[Path, arg(metavar="ADDON.zip", aliases=("-o",))]) -> None:
    """Write Blender's add-on; in Blender: Preferences, Add-ons, Install from Disk.

    It runs this command, keys the shapes with ARKit names of the selected meshes, and sets rate,
    frame range and sound.

    Args:
        output: the .zip file to make.
    """
    if output.suffix.lower() != ".zip":
        raise OutputError(f"{output}: Blender installs add-ons from .zip files; name one")
    check_file(output)
    source = files("codetalker").joinpath("assets/blender")
    with replacing(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in ("__init__.py", "blender_manifest.toml"):
            content = source.joinpath(name).read_text("utf-8")
            archive.writestr(zipfile.ZipInfo(f"codetalker_addon/{name}"), content)
    print(f"{output}: in Blender, Preferences, Add-ons, Install from Disk")
