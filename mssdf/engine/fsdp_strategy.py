"""MMEngine strategy for sharded training on PyTorch's ``fully_shard``."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine._strategy import DDPStrategy
from mmengine.dist import barrier, is_distributed, is_main_process
from torch import Tensor, nn

from mssdf.checkpoints.position_grid import Grid, position_owner, source_grid, stored_grid
from mssdf.checkpoints.sharded_checkpoint import (
    REST,
    TENSORS,
    is_sharded_checkpoint,
    join,
    read_index,
    read_into,
    split_checkpoint,
    write_rest,
    write_tensors,
)
from mssdf.checkpoints.training_state import read_rest
from mssdf.errors import CheckpointError, ConfigError, UsageError
from mssdf.registry import STRATEGIES
from mssdf.utils.atomic_file import partial_file, partial_folder

from .fsdp_model import LAYERS, gather, part_of, shard_model
from .parameter_groups import regroup_state, trained_parameters
from .resume import SCHEME, WEIGHTS_SCHEME

CHECKPOINTS = ('sharded', 'full')


@STRATEGIES.register_module()
class FSDPStrategy(DDPStrategy):
    """A strategy that shards parameters, gradients and optimizer state over all ranks.

    MMEngine's own strategy of that name is built on PyTorch's first FSDP, which needs an
    accelerator, shards a model through flat parameters and writes checkpoints that only the same
    number of ranks can read. This strategy is built on PyTorch's second, ``fully_shard``, under
    which a model keeps its modules and the names of its parameters.

    Args:
        checkpoints: ``'sharded'`` for a folder to which each rank writes its part, or ``'full'``
            for one file, gathered by rank 0, that equals the one written without sharding. Either
            resumes on any number of ranks, with or without sharding.
        layers: class names, or names of base classes, of the layers that are sharded one by one;
            see :func:`~mssdf.engine.fsdp_model.shard_model` for this and the next four arguments.
        param_dtype: number type in which the layers' parameters are gathered and used.
        reduce_dtype: number type in which the layers' gradients are averaged.
        cpu_offload: whether parameters, gradients and optimizer state are kept in the CPU's memory.
        reshard_after_forward: whether a layer's parameters are freed between forward and backward
            pass.
        **kwargs: arguments for :class:`mmengine._strategy.DDPStrategy`.

    Raises:
        ValueError: if ``checkpoints`` is neither ``'sharded'`` nor ``'full'``.
    """

    def __init__(
        self,
        *,
        checkpoints: str = 'sharded',
        layers: tuple[str, ...] | list[str] = LAYERS,
        param_dtype: str | None = None,
        reduce_dtype: str | None = None,
        cpu_offload: bool = False,
        reshard_after_forward: bool = True,
        **kwargs: Any,
    ) -> None:
        if checkpoints not in CHECKPOINTS:
            raise ConfigError('strategy.checkpoints', f'one of {CHECKPOINTS}', checkpoints)
        super().__init__(**kwargs)
        self.checkpoints = checkpoints
        self.sharding: dict[str, Any] = dict(
            layers=tuple(layers),
            param_dtype=param_dtype,
            reduce_dtype=reduce_dtype,
            cpu_offload=cpu_offload,
            reshard_after_forward=reshard_after_forward,
        )

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        if not is_distributed():
            raise UsageError(
                'strategy mssdf.FSDPStrategy: expected processes that work together, found one by '
                'itself: use tools/dist_train.sh CONFIG GPUS'
            )
        return shard_model(self.convert_model(model), **self.sharding)

    # Saving

    def save_checkpoint(
        self,
        filename: str,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        extra_ckpt: dict | None = None,
        callback: Callable | None = None,
    ) -> None:
        """Save a checkpoint; all ranks call this together.

        Args:
            filename: path of the file, or of the folder of a sharded checkpoint.
            save_optimizer: whether the optimizer's state is saved.
            save_param_scheduler: whether the state of the learning-rate schedules is saved.
            extra_ckpt: further entries that the runner adds to the checkpoint.
            callback: function that may change the content before it is written.
        """
        content: dict[str, Any] = dict(state_dict=dict(self.model.state_dict()))
        if save_optimizer and hasattr(self, 'optim_wrapper'):
            content['optimizer'] = self.optim_state_dict()
        if save_param_scheduler and hasattr(self, 'param_schedulers'):
            content['param_schedulers'] = self.scheduler_state_dict()

        extra = dict(extra_ckpt or {})
        extra['meta'] = dict(
            extra.get('meta', {}),
            seed=self.seed,
            time=time.strftime('%Y%m%d_%H%M%S', time.localtime()),
            mmengine_version=mmengine.__version__,
        )
        content.update(extra)

        if callback is not None:
            callback(content)
        tensors, rest = split_checkpoint(content)

        # Tensors are written by all ranks, the rest once.
        if self.checkpoints == 'full':
            self._save_full(tensors, rest, filename)
        else:
            self._save_sharded(tensors, rest, filename)

    def _save_full(self, tensors: dict[str, Tensor], rest: dict, filename: str) -> None:
        whole = gather(tensors)
        if is_main_process():
            with partial_file(filename) as path:
                torch.save(join(whole, rest), path)
        barrier()

    def _save_sharded(self, tensors: dict[str, Tensor], rest: dict, filename: str) -> None:
        with partial_folder(filename, is_main_process(), barrier) as folder:
            write_tensors(tensors, folder)
            if is_main_process():
                write_rest(rest, list(tensors), folder)

    # Loading

    def load_checkpoint(
        self,
        filename: str,
        *,
        map_location: str | Callable = 'cpu',
        strict: bool = True,
        revise_keys: list | None = None,
        callback: Callable | None = None,
    ) -> dict:
        """Load the weights of a full or sharded checkpoint; all ranks call this together.

        Args:
            filename: path of the file, or of the folder of a sharded checkpoint.
            map_location: ignored, as every rank reads its own part.
            strict: ignored, as all weights must be there.
            revise_keys: ignored.
            callback: function that is called with the returned content.

        Returns:
            Content of the checkpoint without the weights.

        Raises:
            CheckpointError: if names or shapes of the weights differ from those of the model.
        """
        filename = filename.removeprefix(SCHEME).removeprefix(WEIGHTS_SCHEME)
        self.logger.info(f'Load checkpoint from {filename}')
        model = dict(self.model.state_dict())

        if is_sharded_checkpoint(filename):
            rest = read_rest(Path(filename) / REST)
            paths = rest.pop(TENSORS)

            index = read_index(filename)
            prefix = 'state_dict/'
            self._check(
                {path[len(prefix) :]: index[path][0] for path in paths if path.startswith(prefix)},
                stored_grid(rest),
            )

            # A rank reads only its own part of each tensor, straight into place.
            targets = {prefix + name: tensor for name, tensor in model.items()}
            targets |= self._empty_optimizer_state({path: index[path] for path in paths})
            read_into(targets, filename, alone=False)

            checkpoint = join(
                {path: targets[path] for path in paths if not path.startswith(prefix)}, rest
            )
            checkpoint.pop('state_dict', None)  # all weights have been read
        else:
            checkpoint = read_rest(filename)
            weights = checkpoint.pop('state_dict')
            found = {name: value.shape for name, value in weights.items()}
            self._check(found, stored_grid(checkpoint))
            with torch.no_grad():
                for name, tensor in model.items():
                    tensor.copy_(part_of(weights[name], tensor))

        if callback is not None:
            callback(checkpoint)
        return checkpoint

    def _check(self, found: dict[str, torch.Size], grid: Grid | None) -> None:
        """Check names, shapes and position grids of weights against those of the model."""
        expected = {name: value.shape for name, value in self.model.state_dict().items()}
        for name in (*expected, *found):
            if expected.get(name) != found.get(name):
                shapes = [shape and tuple(shape) for shape in (expected.get(name), found.get(name))]
                raise CheckpointError(
                    f'the checkpoint does not fit the model: {name}: expected '
                    f'{shapes[0] or "none"}, found {shapes[1] or "none"}'
                )
            owner = position_owner(self.model, name)
            source = None if owner is None else source_grid(owner, found[name][1], grid)
            if source is not None and source != tuple(owner.patch_resolution):
                raise CheckpointError(
                    f'the checkpoint does not fit the model: {name}: expected a grid of '
                    f'{tuple(owner.patch_resolution)} patches, found {source}'
                )

    def _parameters(self) -> dict[int, Tensor]:
        """Return the optimizer's parameters by their numbers in its state."""
        groups = self.optim_wrapper.optimizer.param_groups
        return dict(enumerate(value for group in groups for value in group['params']))

    def _empty_optimizer_state(
        self, index: dict[str, tuple[torch.Size, torch.dtype]]
    ) -> dict[str, Tensor]:
        """Make tensors for the stored state of the optimizer, sharded like their parameters."""
        if not hasattr(self, 'optim_wrapper'):
            return {}
        parameters, state = self._parameters(), {}
        for path, (shape, dtype) in index.items():
            if path.startswith('optimizer/'):
                parts = path.split('/')
                like = parameters.get(int(parts[2][1:])) if parts[1] == 'state' else None
                if like is not None and shape == like.shape:
                    state[path] = torch.zeros_like(like, dtype=dtype, requires_grad=False)
                else:
                    state[path] = torch.zeros(shape, dtype=dtype)
        return state

    @torch.no_grad()
    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state, with each tensor sharded like its parameter."""
        state_dict = regroup_state(
            self.optim_wrapper.optimizer, state_dict, trained_parameters(self.model)
        )
        parameters = self._parameters()
        for number, values in state_dict['state'].items():
            like = parameters[number]
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == like.shape and value.ndim:
                    values[name] = part_of(value, like)
        self.optim_wrapper.load_state_dict(state_dict)
