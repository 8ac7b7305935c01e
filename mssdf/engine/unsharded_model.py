"""Gathering of a sharded model for work that one process does alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mssdf.registry import MODELS
from mssdf.utils.randomness import preserved_rng

from .fsdp_model import gather, is_sharded_model


@contextmanager
def unsharded_model(runner: Runner) -> Iterator[None]:
    """Gather the full model as ``runner.model`` on rank 0; all ranks enter together.

    The sharded model is back after the block; a model that is not sharded is left as it is. A layer
    of a sharded model that one rank runs alone would wait for the others forever.
    """
    sharded = runner.model
    if not is_sharded_model(sharded):
        yield
        return
    weights = gather(sharded.state_dict())
    if is_main_process():
        with preserved_rng():  # building a model draws its weights
            model = MODELS.build(deepcopy(runner.cfg.model))
        model.load_state_dict(weights)
        model.to(get_device())
        model.train(sharded.training)
        # The data preprocessor has no parameters, but hooks have changed its settings.
        model.data_preprocessor = sharded.data_preprocessor
        runner.model = model
    try:
        yield
    finally:
        runner.model = sharded
