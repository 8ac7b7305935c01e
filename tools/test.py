"""Test a trained model: scores, predictions, pictures.

Usage: ``python tools/test.py CONFIG WEIGHTS [--with OVERLAY ...] [--out DIR] [--tta]``
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mssdf.cli.building import FirstIteration, debugging, one_line_before
from mssdf.cli.config_check import check_config
from mssdf.cli.configs import default_work_dir, drop_initializers, read_config
from mssdf.cli.overlays import OVERLAYS
from mssdf.cli.processes import LAUNCHERS, is_main, say, set_up_cpu_processes
from mssdf.errors import UsageError

TRAINING = (
    *('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr'),
    *('val_dataloader', 'val_cfg', 'val_evaluator'),
)


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(description='Test a trained model.')
    parser.add_argument('config', help='path of a config; also relative to the configs folder')
    parser.add_argument('weights', help='checkpoint of the trained model')
    parser.add_argument('--with', **OVERLAYS)

    parser.add_argument(
        '--data-root', help='data_root of every dataset of the config (also: variable MSSDF_DATA)'
    )
    parser.add_argument(
        '--work-dir', help='folder of scores and logs (default: ./work_dirs/CONFIG+OVERLAY)'
    )
    parser.add_argument('--out', metavar='DIR', help='folder to save the predictions to')
    parser.add_argument(
        '--pictures',
        type=int,
        metavar='N',
        help="number of samples in the picture (default: the config's)",
    )
    parser.add_argument(
        '--tta', action='store_true', help="use the config's test-time augmentation"
    )

    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings, e.g. test_dataloader.batch_size=4',
    )
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none', help='launcher of several processes'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def load_config(args: argparse.Namespace) -> Any:
    """Read the config and apply the command line.

    Raises:
        UsageError: if the config cannot be read or an option does not fit it.
    """
    config = read_config(args.config, args.data_root, args.cfg_options, overlays=args.overlays)
    if not config.get('test_dataloader') or not config.get('test_evaluator'):
        raise UsageError(f'{args.config}: expected test_dataloader and test_evaluator, found none')
    drop_initializers(config.model)  # the trained weights replace them

    config.work_dir = args.work_dir or config.get('work_dir')
    if not config.work_dir:
        config.work_dir = default_work_dir(args.config, args.overlays)
    config.launcher = args.launcher
    config.load_from, config.resume = None, False
    leave_out_training(config)

    hooks = list(config.get('custom_hooks') or [])
    if args.out:
        hooks.append(dict(type='mssdf.PredictionSaverHook', out_dir=args.out))
    if args.pictures is not None:
        panel = dict(type='mssdf.TaskPanelHook', num=args.pictures)
        config.default_hooks = dict(config.get('default_hooks') or {}, task_panel=panel)
    config.custom_hooks = hooks

    if args.tta:
        use_tta(config)
    return config


def leave_out_training(config: Any) -> None:
    """Remove all loops but the test's, as a hook that asks for another one builds its data."""
    for key in TRAINING:
        config.pop(key, None)


def use_tta(config: Any) -> None:
    """Wrap the model into the config's test-time augmentation.

    Raises:
        UsageError: if the config has none.
    """
    for name in ('tta_model', 'tta_pipeline'):
        if name not in config:
            raise UsageError(f'--tta: expected {name} in the config, found none')
    dataset = config.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = config.tta_pipeline
    # MMEngine would pass the config's top-level one to the model in place of the model's own.
    config.pop('data_preprocessor', None)
    config.model = dict(config.tta_model, module=config.model)


def load_weights(model: Any, path: str) -> None:
    """Load a trained model's weights, all of them or with an error; no code in the file runs.

    Raises:
        UsageError: if the file is not a checkpoint or does not fill the model.
    """
    from mssdf.checkpoints.position_grid import stored_grid
    from mssdf.checkpoints.safe_load import read_checkpoint, weights_of
    from mssdf.checkpoints.strict_load import ALL_WEIGHTS, compare, fill

    content = read_checkpoint(path)
    state_dict, grid = weights_of(content, path), stored_grid(content)
    report = compare(model, state_dict, path, grid=grid)
    if not report.complete:
        raise UsageError(f'{path}: {ALL_WEIGHTS}, found {report.findings}')
    fill(model, state_dict, path, grid=grid)
    if report.resized:
        say(f'Warning: resized to fit the config: {", ".join(report.resized)}')


def test(config: Any, weights: str, tell: Callable[[dict[str, Any]], None]) -> dict[str, float]:
    """Build the runner and test.

    Args:
        config: config of the model and the test.
        weights: path of the checkpoint of the trained model.
        tell: function that takes the scores, before pictures are drawn.

    Returns:
        Scores by name.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from mssdf.distributed import unwrap
    from mssdf.engine.data_check import build_loops
    from mssdf.engine.hooks.scores_hook import ScoresHook
    from mssdf.engine.process_group import leave_process_group

    runner = None
    try:
        with one_line_before(FirstIteration(), config):
            runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
            load_weights(unwrap(runner.model), weights)
            runner.register_hook(ScoresHook(tell))
            build_loops(runner, 'test')
        return runner.test()
    finally:
        if runner is not None:
            runner.visualizer.close()
        leave_process_group()


def as_json(value: Any) -> Any:
    """Convert a score, or a list of scores, for JSON: NaN becomes null."""
    if hasattr(value, 'tolist'):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_scores(scores: dict[str, Any], config: Any, args: argparse.Namespace) -> None:
    """Write the scores to ``scores.json``."""
    from mssdf.utils.atomic_file import write_atomically

    plain = {key: as_json(value) for key, value in scores.items()}
    content = dict(
        config=args.config,
        overlays=args.overlays,
        weights=args.weights,
        tta=args.tta,
        scores=plain,
    )
    path = Path(config.work_dir) / 'scores.json'
    write_atomically(path, json.dumps(content, indent=1).encode())


def report(scores: dict[str, Any], config: Any) -> None:
    """Print the scores as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table('score', 'value')
    for key, value in scores.items():
        plain = as_json(value)
        if not isinstance(plain, list):
            table.add_row(key, '-' if plain is None else f'{plain:.4g}')
    Console().print(table)
    print(f'All scores: {Path(config.work_dir) / "scores.json"}')


def main(arguments: list[str] | None = None) -> int:
    """Test; return 2 for a wrong input."""
    args = parse_args(arguments)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    try:
        if not Path(args.weights).is_file():
            raise UsageError(f'{args.weights}: expected a checkpoint file, found none')

        config = load_config(args)
        set_up_cpu_processes(config)
        check_config(config)
        scores = test(config, args.weights, lambda found: write_scores(found, config, args))
    except UsageError as error:
        if debugging():
            raise
        say(f'{Path(__file__).name}: {error}')
        return 2
    except KeyboardInterrupt:
        say('Stopped.')
        return 128 + signal.SIGINT

    if is_main():
        report(scores, config)
    return 0


if __name__ == '__main__':
    sys.exit(main())
