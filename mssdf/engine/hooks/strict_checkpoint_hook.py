"""Refusal of checkpoints that do not fill the model."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.checkpoints.position_grid import stored_grid
from mssdf.checkpoints.strict_load import ALL_WEIGHTS, compare, resize_positions
from mssdf.distributed import unwrap
from mssdf.errors import CheckpointError
from mssdf.registry import HOOKS


@HOOKS.register_module()
class StrictCheckpointHook(Hook):
    """A hook that refuses a checkpoint that does not fit the whole model.

    It checks checkpoints to load or resume from, where MMEngine's runner only warns of weights that
    do not fit. The strategy of sharded training checks by itself, by names and shapes.

    Raises:
        mssdf.checkpoints.CheckpointError: if names or shapes differ, before any weight is loaded;
            the error has the counts and names.
    """

    priority = 'LOWEST'  # other hooks may change the checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Check names and shapes against the model; resize positions to the model's grid."""
        weights = checkpoint.get('state_dict')
        if weights is None:
            return
        weights = {name.removeprefix('module.'): value for name, value in weights.items()}
        model, grid = unwrap(runner.model), stored_grid(checkpoint)
        report = compare(model, weights, 'the checkpoint', grid=grid)
        if not report.complete:
            raise CheckpointError(
                report.checkpoint,
                f'{ALL_WEIGHTS}, found {report.findings}; nothing was loaded, a backbone alone is '
                "by model.backbone.init_cfg=dict(type='mssdf.StrictPretrained', checkpoint=FILE)",
            )
        resize_positions(model, weights, report, grid)
        checkpoint['state_dict'] = weights
