"""Train the model of a config.

Usage: ``python tools/train.py CONFIG [--with OVERLAY ...] [--resume] [--cfg-options K=V ...]``
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from mssdf.cli.building import FirstIteration, debugging, one_line_before
from mssdf.cli.config_check import check_config
from mssdf.cli.configs import default_work_dir, drop_initializers, read_config, require_checkpoint
from mssdf.cli.overlays import OVERLAYS
from mssdf.cli.precision import drop_amp_without_gpu, use_amp
from mssdf.cli.processes import LAUNCHERS, say, set_up_cpu_processes
from mssdf.engine.interruption import StopRequest, TrainingInterrupted
from mssdf.errors import UsageError, message_of


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(description='Train the model of a config.')
    parser.add_argument('config', help='path of a config; also relative to the configs folder')
    parser.add_argument('--with', **OVERLAYS)
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints (default: ./work_dirs/CONFIG+OVERLAY)'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='resume from the newest readable checkpoint of the work directory, or from PATH; '
        'without a checkpoint, training starts from the beginning',
    )

    parser.add_argument(
        '--amp',
        nargs='?',
        const='float16',
        choices=('float16', 'bfloat16'),
        help='mixed precision (default type: float16)',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch size over all GPUs',
    )

    parser.add_argument('--seed', type=int, help='seed of all random numbers')
    parser.add_argument(
        '--data-root', help='data_root of every dataset of the config (also: variable MSSDF_DATA)'
    )
    parser.add_argument(
        '--checkpoint',
        help='pre-training checkpoint that the config starts from (also: MSSDF_CHECKPOINT)',
    )

    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings, e.g. train_cfg.max_epochs=10 optim_wrapper.optimizer.lr=1e-4',
    )
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none', help='launcher of several processes'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def load_config(args: argparse.Namespace) -> Any:
    """Read the config and apply the command line, ``MSSDF_DATA`` and ``MSSDF_CHECKPOINT``.

    Raises:
        UsageError: if the config cannot be read or an option does not fit it.
    """
    config = read_config(
        args.config, args.data_root, args.cfg_options, args.checkpoint, args.overlays
    )
    if args.work_dir:
        config.work_dir = args.work_dir
    elif not config.get('work_dir'):
        config.work_dir = default_work_dir(args.config, args.overlays)
    if args.amp:
        use_amp(config, args.amp)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
            raise UsageError(
                '--auto-scale-lr: expected auto_scale_lr.base_batch_size in the config, found none'
            )
        config.auto_scale_lr.enable = True
    if args.seed is not None:
        config.randomness = dict(config.get('randomness') or {}, seed=args.seed)
    config.launcher = args.launcher
    return config


def checkpoint_folders(config: Any) -> list[str]:
    """List the folder outside the work directory that the config writes checkpoints to."""
    hook = config.get('default_hooks', {}).get('checkpoint') or {}
    folder = hook.get('out_dir')
    return [os.path.join(folder, Path(config.work_dir).name)] if folder else []


def set_up_resume(config: Any, wanted: str) -> None:
    """Point the config at the checkpoint to resume from, if there is one.

    Raises:
        UsageError: if a named checkpoint is missing or damaged.
    """
    from mssdf.engine.resume import (
        SCHEME,
        find_resumable_checkpoint,
        is_readable,
        read_resumable_meta,
    )
    from mssdf.errors import CheckpointError

    if wanted == 'auto':
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            checkpoint = find_resumable_checkpoint(config.work_dir, checkpoint_folders(config))
        for warning in caught:
            say(f'Warning: {warning.message}')
    else:
        if not Path(wanted).exists():
            raise UsageError(f'--resume: expected a checkpoint, found none at {wanted}')
        if not is_readable(wanted):
            raise UsageError(
                '--resume: expected a complete checkpoint, found one that was cut off or '
                f'damaged: {wanted}'
            )
        checkpoint = wanted
    config.resume = checkpoint is not None
    if checkpoint is None:
        say(f'Nothing to resume in {config.work_dir}: starting from the beginning.')
        return
    config.load_from = SCHEME + str(checkpoint)
    say(f'Resuming from {checkpoint}.')
    try:
        seed = read_resumable_meta(checkpoint).get('seed')
    except CheckpointError as error:
        raise UsageError(f'--resume {error}') from None
    asked = config.get('randomness', {}).get('seed')
    if seed is not None:
        if asked not in (None, seed):
            say(f'Warning: a resumed run keeps its seed {seed}, not {asked}.')
        config.randomness = dict(config.get('randomness') or {}, seed=seed)


def set_up_load_from(config: Any) -> None:
    """Have the weights in the config's ``load_from`` read without running code in the file.

    Raises:
        UsageError: if it is not a file or folder on this machine.
    """
    from mssdf.engine.resume import WEIGHTS_SCHEME

    path = config.get('load_from')
    if path is None:
        return
    if not isinstance(path, str) or not Path(path).exists():
        raise UsageError(f'load_from: expected a checkpoint on this machine, found {path!r}')
    config.load_from = WEIGHTS_SCHEME + path


def resume_command(arguments: list[str], launcher: str = 'none') -> str:
    """Format the command that resumes this run."""
    if launcher != 'none':
        return 'the same command with --resume'
    command = [os.path.basename(sys.executable), *arguments]
    return shlex.join(command if '--resume' in arguments else [*command, '--resume'])


def train(config: Any) -> None:
    """Build the runner and train.

    Raises:
        UsageError: if something is wrong before the first iteration.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from mssdf.engine.batch_check import check_smallest_batch
    from mssdf.engine.data_check import build_loops
    from mssdf.engine.hooks.first_iteration_hook import FirstIterationHook
    from mssdf.engine.hooks.strict_checkpoint_hook import StrictCheckpointHook
    from mssdf.engine.process_group import leave_process_group
    from mssdf.engine.watchdog import tell_the_others

    first_iteration = FirstIteration()
    runner = None
    try:
        with one_line_before(first_iteration, config):
            runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
            runner.register_hook(
                FirstIterationHook(lambda: setattr(first_iteration, 'begun', True))
            )
            runner.register_hook(StrictCheckpointHook())
            build_loops(runner, 'train', 'val')
            check_smallest_batch(runner.train_loop.dataloader, runner.model)
            runner.train()
    except Exception as error:
        tell_the_others(error)
        raise
    finally:
        if runner is not None:
            runner.visualizer.close()
        leave_process_group()


def run(config: Any, resume: str | None) -> int:
    """Train a loaded config to its end or until a stop is requested."""
    if config.get('resume') and not resume:
        resume = config.get('load_from') or 'auto'

    if resume:
        set_up_resume(config, resume)
    if config.get('resume'):
        drop_initializers(config.get('model'))  # the weights come from the checkpoint
    else:
        set_up_load_from(config)
        require_checkpoint(config)

    set_up_cpu_processes(config)
    drop_amp_without_gpu(config)
    check_config(config)

    try:
        train(config)
    except TrainingInterrupted as interruption:
        if not interruption.checkpoint:
            raise
        say(
            f'Stopped after {interruption.iteration} iterations, all saved in '
            f'{interruption.checkpoint}. To go on:\n  {resume_command(sys.argv, config.launcher)}'
        )
        return interruption.exit_code
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Train.

    Returns:
        0; 75 after a stop by the scheduler (SIGTERM, SIGUSR1) and 130 after Ctrl-C, with everything
        saved; 2 for a wrong input.
    """
    args = parse_args(arguments)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    try:
        with StopRequest(training=False):
            return run(load_config(args), args.resume)
    except TrainingInterrupted as interruption:
        say('Stopped before training began.')
        return interruption.exit_code
    except UsageError as error:
        if debugging():
            raise
        say(f'{Path(__file__).name}: {message_of(error)}')
        return 2
    except KeyboardInterrupt:
        say('Stopped at once. What was saved before can be resumed with --resume.')
        return 128 + signal.SIGINT


if __name__ == '__main__':
    sys.exit(main())
