"""`codetalker import-official`: released checkpoints in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def import_official(
    preset: Positional[str],
    stage1: Path,
    stage2: Path,
    output: Annotated[Path, arg(aliases=("-o",))],
    template: Path | None = None,
) -> int:
    """Convert the released CodeTalker checkpoints, once.

    Args:
        preset: vocaset or biwi; or a model folder, for retrained checkpoints of its configuration.
        stage1: checkpoint of the VQ autoencoder, such as vocaset_stage1.pth.tar.
        stage2: checkpoint of the talker, such as vocaset_stage2.pth.tar.
        output: the folder to make; give it to animate as --model.
        template: face at rest to animate by default, .ply, .obj or .npy of the same topology.
    """
    from codetalker.model_folder import CONFIG
    from codetalker.paper import import_official as importer
    from codetalker.paper.folder import read_paper_config

    folder = Path(preset)
    model = read_paper_config(folder) if (folder / CONFIG).is_file() else preset
    importer.convert_official(model, stage1, stage2, output, template)
    print(f"{output}: the {preset} model, ready for: codetalker animate --model {output}")
    return 0
