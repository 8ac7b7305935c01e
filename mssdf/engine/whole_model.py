"""A sharded model put together again, for what one process does by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mssdf.registry import MODELS
from mssdf.utils.randomness import preserved_rng

from .sharding import gather, is_sharded_model


@contextmanager
def whole_model(runner: Runner) -> Iterator[None]:
    """Inside, rank 0 has the model whole, as ``runner.model``; all ranks enter together.

    A model that is not sharded stays as it is. Of a sharded one, a layer run by one rank alone
    would wait for the others for ever.
    """
    sharded = runner.model
    if not is_sharded_model(sharded):
        yield
        return
    weights = gather(sharded.state_dict())
    if is_main_process():
        with preserved_rng():  # building draws weights
            model = MODELS.build(deepcopy(runner.cfg.model))
        model.load_state_dict(weights)
        model.to(get_device())
        model.train(sharded.training)
        # it has no parameters, and hooks have changed its settings
        model.data_preprocessor = sharded.data_preprocessor
        runner.model = model
    try:
        yield
    finally:
        runner.model = sharded
