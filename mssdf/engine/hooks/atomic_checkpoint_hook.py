"""Checkpoints that survive a kill at any moment."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mssdf.errors import ConfigError, UsageError
from mssdf.registry import HOOKS
from mssdf.utils.atomic_file import BACKEND, remove_partial_files, write_atomically

from ..phases import CHECKPOINT, activity

INTERRUPTED = 'interrupted.pth'
KEPT, DROPPED = 'keep_ckpt_ids', 'drop_ckpt_ids'


class CheckpointNotWrittenError(UsageError, OSError):
    """An error for a checkpoint that could not be written; earlier ones are intact.

    It ends training, as progress from here on could not be saved either.

    Args:
        path: path of the checkpoint.
        reason: error of the system, such as a full disk.
    """

    def __init__(self, path: str, reason: OSError) -> None:
        why = reason.strerror or reason
        super().__init__(
            f'{path}: expected a checkpoint that can be written, found {why}; earlier ones are '
            'complete, --resume goes on from them when there is room'
        )


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """A hook that writes each checkpoint under a temporary name and moves it into place.

    The pointer ``last_checkpoint`` is written in the same way, and an old checkpoint is removed
    only when the new one is in place. Files that a killed run left half written are removed at the
    start.

    Args:
        interval: number of iterations or epochs between checkpoints; one is written at the end as
            well.
        by_epoch: whether the interval counts epochs; else it counts iterations.
        max_keep_ckpts: number of checkpoints that are kept; with at least 2, one is left to fall
            back to.
        backend_args: arguments of MMEngine's storage backend; None writes local files atomically.
        file_client_args: arguments under MMEngine's old name of ``backend_args``.
        **kwargs: arguments for :class:`mmengine.hooks.CheckpointHook`.
    """

    keep_ckpt_ids: deque[int]

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        max_keep_ckpts: int = -1,
        backend_args: dict | None = None,
        file_client_args: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if backend_args is None and file_client_args is None:
            backend_args = dict(backend=BACKEND)
        super().__init__(
            interval=interval,
            by_epoch=by_epoch,
            max_keep_ckpts=max_keep_ckpts,
            backend_args=backend_args,
            file_client_args=file_client_args,
            **kwargs,
        )

    def before_train(self, runner: Runner) -> None:
        """Remove files that a killed run left behind.

        Raises:
            ValueError: if a checkpoint would fall between two accumulated gradients.
        """
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if not self.by_epoch and self.interval > 0 and self.interval % counts:
            raise ConfigError(
                'checkpoint.interval',
                f'a multiple of accumulative_counts={counts}, as accumulated gradients are not '
                'saved',
                self.interval,
            )
        self._check_resumed(runner)
        super().before_train(runner)
        self._keep_best_here()
        if not is_main_process():
            return
        for folder in {str(self.out_dir), runner.work_dir}:
            for path in remove_partial_files(folder):
                runner.logger.info(f'Removed {path}, left half written by an earlier run.')
        # Checkpoints that a run had replaced, but was killed before it could remove them.
        self._remove(runner.message_hub.runtime_info.get(DROPPED, ()))

    def _check_resumed(self, runner: Runner) -> None:
        """Keep only numbers from a resumed checkpoint, as they become names of files to remove."""
        known = runner.message_hub.runtime_info
        for key in (KEPT, DROPPED):
            if key in known:
                steps = [step for step in known[key] if isinstance(step, int)]
                runner.message_hub.update_info(key, steps)

    def _keep_best_here(self) -> None:
        """Expect the best checkpoint, which a better one replaces, in the run's own folder."""
        best: str | None = getattr(self, 'best_ckpt_path', None)
        if best is not None:
            self.best_ckpt_path = self._own(best)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = self._own(path)

    def _own(self, path: object) -> str | None:
        """Return the path of a best checkpoint in the run's own folder; None for any other name."""
        name = PurePath(str(path or '')).name
        if not name.startswith('best_') or not name.endswith('.pth'):
            return None
        return str(self.file_backend.join_path(self.out_dir, name))

    def _remove(self, steps: Iterable[int]) -> None:
        for step in steps:
            self._remove_checkpoint(self.filename_tmpl.format(step))

    def _remove_checkpoint(self, name: str) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # a sharded checkpoint
            self.file_backend.rmtree(path)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        dropped: list[int] = []
        if self.max_keep_ckpts > 0:
            kept = [other for other in self.keep_ckpt_ids if other != step] + [step]
            dropped, kept = kept[: -self.max_keep_ckpts], kept[-self.max_keep_ckpts :]
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info(KEPT, kept)
            runner.message_hub.update_info(DROPPED, dropped)
        self._write(runner, self.filename_tmpl.format(step), meta)
        if is_main_process():
            self._remove(dropped)
            self._remove_checkpoint(INTERRUPTED)

    def _write(self, runner: Runner, name: str, meta: dict) -> None:
        """Save a checkpoint under a name and let ``last_checkpoint`` point to it."""
        with activity.within(CHECKPOINT):
            try:
                self._write_now(runner, name, meta)
            except OSError as error:
                path = self.file_backend.join_path(self.out_dir, name)
                raise CheckpointNotWrittenError(path, error) from error

    def _write_now(self, runner: Runner, name: str, meta: dict) -> None:
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_atomically(
                Path(runner.work_dir) / 'last_checkpoint', str(self.last_ckpt).encode()
            )

    def save_interrupted(self, runner: Runner) -> str:
        """Save between two iterations, outside the interval; return the path.

        The checkpoint is removed when the next one at an interval is in place.
        """
        self._write(runner, INTERRUPTED, dict(epoch=runner.epoch, iter=runner.iter))
        return str(self.last_ckpt)


def save_interrupted(runner: Runner) -> str:
    """Save all completed iterations through the run's checkpoint hook, or through a new one."""
    for hook in runner.hooks:
        if isinstance(hook, AtomicCheckpointHook):
            return hook.save_interrupted(runner)
    hook = AtomicCheckpointHook()
    hook.before_train(runner)
    return hook.save_interrupted(runner)
