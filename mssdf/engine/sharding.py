"""Spreading a model's parameters over ranks (FSDP2), and tensors from and to such a model."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

# of torch.distributed, what takes long to import is imported where it is used

LAYERS = ('TransformerEncoderLayer',)


def layers_of(model: nn.Module, names: Iterable[str], key: str) -> list[nn.Module]:
    """A model's layers of some classes.

    Args:
        model: where to look.
        names: of the classes, or of base classes.
        key: of the config that names them, for an error.

    Raises:
        ValueError: if there is none.
    """
    wanted = set(names)
    found = [
        module
        for module in model.modules()
        if wanted & {base.__name__ for base in type(module).__mro__}
    ]
    if not found:
        raise ValueError(
            f'{key}: expected class names of layers of {type(model).__name__}, found '
            f'{sorted(wanted)}'
        )
    return found


def is_sharded_model(model: nn.Module) -> bool:
    """Whether parameters are spread over ranks."""
    return any(hasattr(parameter, 'full_tensor') for parameter in model.parameters())


def shard_model(
    model: nn.Module,
    layers: Iterable[str] = LAYERS,
    param_dtype: str | None = None,
    reduce_dtype: str | None = None,
    cpu_offload: bool = False,
    reshard_after_forward: bool = True,
) -> nn.Module:
    """Shard a model in place: each layer by itself, and the rest together.

    A layer's parameters are gathered when it runs and freed afterwards; keys of the state
    dictionary stay as they are, and each parameter is a part of the whole one on every rank.
    Checkpointing and compiling happen inside a layer, and so before sharding.

    Args:
        model: with the same weights on every rank.
        layers: class names, or those of base classes, of the layers.
        param_dtype: number type in which the layers' parameters are gathered and used (the other
            parameters stay as they are), to go with autocast to the same type.
        reduce_dtype: number type in which their gradients are averaged.
        cpu_offload: keep parameters, gradients and optimizer in the CPU's memory.
        reshard_after_forward: free a layer's parameters until its backward pass; else keep them.

    Raises:
        ValueError: if no layer has such a name.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    device = get_device()
    for module in model.modules():
        if isinstance(module, BaseDataPreprocessor):
            module.to(device)  # it remembers where
    found = layers_of(model, layers, 'strategy.layers')
    settings = _settings(device, cpu_offload)
    precision = MixedPrecisionPolicy(
        param_dtype=_dtype('param_dtype', param_dtype),
        reduce_dtype=_dtype('reduce_dtype', reduce_dtype),
        cast_forward_inputs=False,  # autocast does, and leaves the sum of the layers in float32
    )
    for module in found:
        fully_shard(
            module, mp_policy=precision, reshard_after_forward=reshard_after_forward, **settings
        )
    fully_shard(model, **settings)
    return model


def _settings(device: str, cpu_offload: bool) -> dict[str, Any]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import CPUOffloadPolicy

    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    return dict(mesh=mesh, offload_policy=CPUOffloadPolicy()) if cpu_offload else dict(mesh=mesh)


def _dtype(key: str, name: str | None) -> torch.dtype | None:
    dtype = None if name is None else getattr(torch, name, None)
    if name is not None and not isinstance(dtype, torch.dtype):
        raise ValueError(f'strategy.{key}: expected a number type such as bfloat16, found {name!r}')
    return dtype


def gather(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The whole tensors in the memory of rank 0; all ranks call it together.

    Returns:
        All of them on rank 0, none on the others.
    """
    from torch.distributed.tensor import DTensor

    keep = torch.distributed.get_rank() == 0
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, DTensor):
            tensor = tensor.full_tensor()
        if keep:
            whole[name] = tensor.detach().cpu()
    return whole


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """This rank's part of a whole tensor, spread as another one; no communication.

    Args:
        whole: the same on every rank.
        like: a tensor of the same shape, distributed or not.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    whole = whole.to(like.dtype)
    if not isinstance(like, DTensor):
        return whole.to(like.device)
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
