"""Random augmentation that follows from the position in training alone."""

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mssdf.registry import HOOKS

from ..seeded_loader import seeded_loader


@HOOKS.register_module()
class SampleSeedHook(Hook):
    """Seed each training sample from (seed, rank, epoch, place in it), in MMEngine's loops.

    With :class:`~mssdf.engine.IterationSeedHook` a run that was resumed anywhere then draws what
    one that never stopped does, with any number of workers. Pre-training needs it not: its
    datasets seed by themselves.
    """

    priority = 'HIGHEST'  # before others look into the loader or wait for it

    def before_train(self, runner: Runner) -> None:
        """Put the seeded loader into the loop, whose batches nobody has asked for yet."""
        loop = runner.train_loop
        seeded = seeded_loader(loop.dataloader, runner.seed or 0, get_rank())
        if seeded is loop.dataloader:
            return
        loop.dataloader = seeded
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = type(loop.dataloader_iterator)(seeded)
