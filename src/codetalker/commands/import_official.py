"""`codetalker import-official`: released checkpoints in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from codetalker.errors import OptionError


def import_official(
    preset: Positional[str],
    checkpoint: Positional[Path | None] = None,
    *,
    output: Annotated[Path, arg(aliases=("-o",))],
    stage1: Path | None = None,
    stage2: Path | None = None,
    template: Path | None = None,
) -> int:
    """Convert the released checkpoints of CodeTalker or FaceFormer, once.

    Args:
        preset: vocaset or biwi for CodeTalker, faceformer-vocaset or faceformer-biwi; or a model
            folder, for retrained checkpoints of its configuration.
        checkpoint: FaceFormer's file, such as vocaset.pth.
        output: the folder to make; give it to animate as --model.
        stage1: CodeTalker's VQ autoencoder, such as vocaset_stage1.pth.tar.
        stage2: CodeTalker's talker, such as vocaset_stage2.pth.tar.
        template: face at rest to animate by default, .ply, .obj or .npy of the same topology.
    """
    from codetalker.model_folder import CONFIG
    from codetalker.paper import import_official as importer
    from codetalker.paper.folder import read_paper_config

    folder = Path(preset)
    model = read_paper_config(folder) if (folder / CONFIG).is_file() else preset
    if (stage1 is None) != (stage2 is None) or (stage1 is None) == (checkpoint is None):
        raise OptionError(
            "name what was released: --stage1 FILE --stage2 FILE of CodeTalker, or one FILE, as in "
            "codetalker import-official faceformer-vocaset vocaset.pth -o DIR"
        )
    paths = [path for path in (checkpoint, stage1, stage2) if path is not None]
    importer.convert(model, paths, output, template)
    print(f"{output}: the {preset} model, ready for: codetalker animate --model {output}")
    return 0
