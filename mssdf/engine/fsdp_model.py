"""Sharding of a model's parameters over ranks (FSDP2), and conversion of sharded tensors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from mssdf.errors import ConfigError

# Slow parts of torch.distributed are imported where they are used.

LAYERS = ('TransformerEncoderLayer',)


def layers_of(model: nn.Module, names: Iterable[str], key: str) -> list[nn.Module]:
    """Find a model's layers of some classes.

    Args:
        model: model that has the layers.
        names: names of the classes or of base classes.
        key: config key that gives the names, for the error.

    Raises:
        ValueError: if the model has no such layer.
    """
    wanted = set(names)
    found = [
        module
        for module in model.modules()
        if wanted & {base.__name__ for base in type(module).__mro__}
    ]
    if not found:
        raise ConfigError(key, f'class names of layers of {type(model).__name__}', sorted(wanted))
    return found


def is_sharded_model(model: nn.Module) -> bool:
    """Tell whether a model's parameters are sharded over ranks."""
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

    A layer's parameters are gathered for its run and freed afterwards. Keys of the state dictionary
    stay as they are, and each rank holds one part of each parameter. Activation checkpointing and
    compiling act inside a layer and so come before sharding.

    Args:
        model: model with the same weights on every rank.
        layers: class names, or names of base classes, of the layers.
        param_dtype: number type in which the layers' parameters are gathered and used, to go with
            autocast to the same type; the other parameters keep theirs.
        reduce_dtype: number type in which the layers' gradients are averaged.
        cpu_offload: whether parameters, gradients and optimizer state are kept in the CPU's memory.
        reshard_after_forward: whether a layer's parameters are freed until its backward pass.

    Raises:
        ValueError: if no layer has such a name.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    device = get_device()
    for module in model.modules():
        if isinstance(module, BaseDataPreprocessor):
            module.to(device)  # it remembers the device, to which it casts the data
    found = layers_of(model, layers, 'strategy.layers')
    settings = _settings(device, cpu_offload)
    precision = MixedPrecisionPolicy(
        param_dtype=_dtype('param_dtype', param_dtype),
        reduce_dtype=_dtype('reduce_dtype', reduce_dtype),
        cast_forward_inputs=False,  # autocast casts, and keeps the residual sum in float32
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
    """Return the number type of a name; None for None."""
    dtype = None if name is None else getattr(torch, name, None)
    if name is not None and not isinstance(dtype, torch.dtype):
        raise ConfigError(f'strategy.{key}', 'a number type such as bfloat16', name)
    return dtype


def gather(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gather the full tensors in the memory of rank 0; all ranks call this together.

    Returns:
        All tensors on rank 0; an empty dictionary on the other ranks.
    """
    from torch.distributed.tensor import DTensor

    keep = torch.distributed.get_rank() == 0
    full: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, DTensor):
            tensor = tensor.full_tensor()
        if keep:
            full[name] = tensor.detach().cpu()
    return full


def part_of(full: Tensor, like: Tensor) -> Tensor:
    """Return this rank's part of a full tensor, sharded like another one, without communication.

    Args:
        full: full tensor, the same on every rank.
        like: tensor of the same shape, distributed or not.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    full = full.to(like.dtype)
    if not isinstance(like, DTensor):
        return full.to(like.device)
    return distribute_tensor(full, like.device_mesh, like.placements, src_data_rank=None)
