"""Random augmentation from the position in training alone."""

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mssdf.registry import HOOKS

from ..seeded_loader import seeded_loader


@HOOKS.register_module()
class SampleSeedHook(Hook):
    """A hook that seeds each training sample from (seed, rank, epoch, place in it).

    It serves MMEngine's loops. With :class:`~mssdf.engine.IterationSeedHook`, a resumed run then
    draws the same numbers as one that never stopped, with any number of workers. Pre-training does
    not need it, as its datasets seed by themselves.
    """

    priority = 'HIGHEST'  # before other hooks read the loader or wait for it

    def before_train(self, runner: Runner) -> None:
        """Put the seeded loader into the loop before a batch is requested."""
        loop = runner.train_loop
        seeded = seeded_loader(loop.dataloader, runner.seed or 0, get_rank())
        if seeded is loop.dataloader:
            return
        loop.dataloader = seeded
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = type(loop.dataloader_iterator)(seeded)
