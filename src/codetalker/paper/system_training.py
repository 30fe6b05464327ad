"""Training of a system's talker from a prepared store; of CodeTalker's stages, see `training`.

Makes the flow speech -> features -> motion learn.
"""

from __future__ import annotations

from pathlib import Path

import torch

from codetalker.data.store import Store
from codetalker.paper.clips import TrainingClips
from codetalker.paper.free_running import free_warnings
from codetalker.paper.recipe import EpochPlan, EpochSchedule, TalkerRecipe
from codetalker.paper.systems import SystemConfig, name_of, system_of
from codetalker.training import processes
from codetalker.training.loop import fit
from codetalker.training.run_record import run_record


def train_talker(
    config: SystemConfig,
    store: Store,
    folder: Path,
    *,
    wav2vec2: str,
    plan: EpochPlan,
    recipe: TalkerRecipe,
    device: torch.device,
) -> None:
    """Train on the clips of split `train`, watch those of `val`; resume what is there.

    Args:
        config: of the system that is trained.
        wav2vec2: folder or name of the pretrained speech encoder, for systems that have one.

    Raises:
        DataError: a split is empty, or the training goes astray.
        ModelError: the folder holds a run with other options, or the speech encoder cannot be had.
    """
    clips, system = TrainingClips.of(store, device), system_of(config)
    torch.manual_seed(plan.seed)
    model = system.model(config).to(device)
    schedule = EpochSchedule(plan, len(clips.train), processes.count())
    training = system.training(model, clips, schedule, recipe)
    training.begin(folder, wav2vec2)
    record = run_record("talker", model=config, recipe=recipe, data=clips.record())
    fit(
        model, schedule, training.losses, training.evaluate, folder,
        watch="free_lve", warn=free_warnings, config={"system": name_of(config)} | record,
    )  # fmt: skip
