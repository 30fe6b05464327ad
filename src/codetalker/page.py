"""Page: the web page in which the whole model runs, as a folder of static files.

In the flow speech -> features -> codes -> motion -> mesh -> picture, in a browser. The scripts are
built from `web/`; a model and the head come from the package. The folder works from any server.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from codetalker.animation import Animation
from codetalker.disk import new_folder
from codetalker.errors import ModelError
from codetalker.files.glb import glb_of
from codetalker.model_folder import CONFIG, find_model, read_config, read_file
from codetalker.rig import bundled_head

_FAMILY = "default"


def write_page(folder: Path, model: str | Path | None = None, *, served: bool = False) -> Path:
    """Write the page to a new folder.

    Args:
        folder: where its `index.html` will be.
        model: a bundle folder or the name of a bundled one; that for streams by default.
        served: whether `codetalker serve` will serve it: then it offers films, too.

    Raises:
        ModelError: it is missing, damaged, or of another family.
        OutputError: the folder has content already, or cannot be written.
    """
    source = find_model(model)
    config = read_config(source)
    if config.get("family") != _FAMILY:
        raise ModelError(f"{source} is of another family; name a model of the bundled one")
    contents = {name: read_file(source / name, sha) for name, sha in config["files"].items()}
    with new_folder(folder) as partial:
        shutil.copytree(Path(str(files("codetalker"))) / "assets/page", partial, dirs_exist_ok=True)
        (partial / "model").mkdir()
        shutil.copyfile(source / CONFIG, partial / "model" / CONFIG)
        for name, content in contents.items():
            (partial / "model" / name).write_bytes(content)
        (partial / "head.glb").write_bytes(_head())
        if served:
            index = partial / "index.html"
            html = index.read_text(encoding="utf-8")
            index.write_text(html.replace("<html", "<html data-served", 1), encoding="utf-8")
    return folder


@lru_cache(maxsize=1)
def _head() -> bytes:
    """The bundled head at rest, with joints that turn it."""
    rig = bundled_head()
    still = np.zeros((1, len(rig.blendshape_names)), np.float32)
    return glb_of(Animation(rig, still, 25.0, head=np.zeros((1, 3), np.float32)))
