"""Several processes that train one model together, each on its share of every step.

`torchrun` starts them and says through the environment who is who. Gradients are summed over the
processes after the backward pass; all then make the same step, so the weights stay equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from codetalker.errors import OptionError

PATIENCE = timedelta(hours=6)
"""How long processes wait for one another: the first one evaluates while the others wait."""


def own_device(name: str | None = None) -> torch.device:
    """The named device; `cuda` is this process's GPU; if None, that or else the CPU.

    Raises:
        OptionError: there is no such device.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch raises either, by how it was built
        raise OptionError(
            f"there is no device {name!r} here; leave --device out, or cpu"
        ) from error


@contextmanager
def joined(device: str | None) -> Iterator[torch.device]:
    """Within, this process works with the others that torchrun started; alone if there are none.

    Gives the device that `own_device` finds for it.
    """
    own = own_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield own
        return
    if own.type == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield own
        dist.barrier()  # a process that ends while gloo's threads hold its tensors is aborted
    finally:
        dist.destroy_process_group()


@contextmanager
def first_one_first() -> Iterator[None]:
    """The first process runs the block, then the others do, and find what it has left on disk."""
    if rank() > 0:
        dist.barrier()
    yield
    if rank() == 0 and count() > 1:
        dist.barrier()


def rank() -> int:
    """This process's number; only number 0 writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_gradients(parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
    """Give every process the sum of all processes' gradients.

    A parameter that this step did not use (of a layer left out by LayerDrop) has gradient zero if
    it was ever used before: so its momentum goes on, as in the published code. Whether it was used
    is seen from the optimiser's state, which checkpoints hold.
    """
    used = [p.grad is not None or bool(optimiser.state.get(p)) for p in parameters]
    if count() > 1:
        votes = torch.tensor(used, dtype=torch.uint8, device=parameters[0].device)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        used = votes.tolist()
    for parameter, is_used in zip(parameters, used, strict=True):
        if not is_used:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if count() > 1:
            dist.all_reduce(parameter.grad)


def sum_counts(counts: Tensor) -> Tensor:
    """Counts of the same things, summed over the processes in place."""
    if count() > 1:
        dist.all_reduce(counts)
    return counts


def agree_on(values: Tensor) -> None:
    """Give every process the first one's values: kernels of a GPU may differ in the last bit."""
    if count() > 1:
        dist.broadcast(values, 0)


def sum_values(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Each named scalar, summed over the processes."""
    total = torch.stack([v.detach().float() for v in values.values()])
    if count() > 1:
        dist.all_reduce(total)
    return dict(zip(values, total.tolist(), strict=True))
