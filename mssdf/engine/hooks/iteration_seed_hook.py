"""Random numbers of an iteration from the position in training alone."""

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.distributed import unwrap
from mssdf.registry import HOOKS
from mssdf.utils.randomness import seed_all, seed_from

SHARED = 1  # keeps the shared draws apart from those of a rank


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """A hook that seeds the main process before each iteration from (seed, rank, iteration).

    Masks, drop path and all other draws are then the same in a resumed run as in one that never
    stopped. Draws of the data preprocessor for its windows follow from (seed, iteration) and the
    place of a window in the batch of all ranks alone, so they are also the same on another number
    of ranks.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed Python, NumPy and PyTorch, and the draws that all ranks share."""
        seed = runner.seed or 0
        seed_all(seed, get_rank(), runner.iter)
        preprocessor: Any = unwrap(runner.model).data_preprocessor
        if hasattr(preprocessor, 'seed_next_batch'):
            preprocessor.seed_next_batch(seed_from(seed, runner.iter, SHARED))
