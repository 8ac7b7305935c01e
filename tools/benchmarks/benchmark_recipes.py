r"""Compare several pre-training recipes at one budget on one machine by their frozen features.

Usage, on two cores (seconds are processor time, so that two trainings at once are fair)::

    MAE=configs/pretrain/mae_vit-t-p16_quick-start.py
    OURS=configs/pretrain/mssdf_vit-t-p16_quick-start.py
    python tools/benchmarks/benchmark_recipes.py \
        mae=$MAE:model.neck.type=mssdf.ZeroHeadMAEDecoder ours=$OURS \
        no-hsic=$OURS:model.losses.hsic=0 \
        --out work_dirs/contest --budget 600s --seeds 0 1 2 --jobs 2 --data DATA/pairs \
        --arch deit-tiny --img-size 128 --batch-size 64 --lr 6e-4 \
        --suite small --sets aid=scenes:DATA/aid --against mae

An entry is ``CONFIG``, ``NAME=CONFIG`` or ``NAME=CONFIG:key=value,key=value``. Keys with a dot are
the config's; ``batch_size``, ``lr``, ``warm_up``, ``arch``, ``img_size``, ``scale``, ``ratio``,
``flip``, ``brightness`` and ``contrast`` replace the option of that name for this entry. Trainings
take turns: seed 0 of all entries, then seed 1. Tiles are in memory, so that reading is not
measured; every recipe sees the same windows for a seed and a batch size. The learning rate and the
method's schedules follow the used share of the budget.

Then the checkpoints are scored on the sets of ``--suite`` and ``--sets``, in the syntax of
``tools/analysis_tools/eval_features.py``, beside an untrained encoder, image statistics and random
convolutions. The seeds of an entry are one row; each measure has its 95 % interval and the paired
difference from ``--against``. ``--no-scores`` only trains.

In ``--out``: ``tiles.npz``; for each training ``NAME_seed0.pth`` and ``runs/NAME_seed0.json``;
``runs.jsonl`` and ``runs.csv`` with one row per training; ``scores/`` with a row per checkpoint and
measure; ``contest.md`` and ``contest.csv``, the final table. A second call trains and scores only
what is missing: to score finished trainings on further sets, repeat the command with more sets.
Tiles are read again when a file of the data is new or changed; trainings on earlier tiles are then
invalid and are named. One call at a time writes to ``--out``. Ctrl-C and SIGTERM end all trainings
at once.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction

from mssdf.cli.arguments import expect_device, expect_number, expect_seeds
from mssdf.cli.configs import read_config
from mssdf.cli.folder_lock import lock_folder
from mssdf.cli.stopping import Stopped, stop_on_signals
from mssdf.contest import Budget, Entry, adapt_recipe, parse_entry
from mssdf.contest.conditions import describe_conditions
from mssdf.contest.data import common_modalities, prepare_tiles
from mssdf.contest.runs import Run, execute_all
from mssdf.contest.scoring import Scoring, score_checkpoints
from mssdf.contest.standings import write_standings
from mssdf.contest.tables import write_runs
from mssdf.contest.training import TrainingSettings
from mssdf.datasets.transforms.batched_crops import CropSettings
from mssdf.errors import CheckpointError, UsageError
from mssdf.evaluation.frozen import MeasurementSettings, resolve_sets, suite
from mssdf.evaluation.frozen.evaluate import CONVOLUTIONS, STATISTICS, UNTRAINED
from mssdf.evaluation.frozen.reading import load_set
from mssdf.evaluation.frozen.sets import SYNTAX
from mssdf.utils.atomic_file import remove_partial_files

CROP_KEYS = ('scale', 'ratio', 'flip', 'brightness', 'contrast')
TRAINING_KEYS = ('batch_size', 'lr', 'warm_up')
MODEL_KEYS = ('arch', 'img_size')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument(
        'entries',
        nargs='+',
        metavar='[NAME=]CONFIG[:key=value,...]',
        help='recipes that are compared',
    )
    parser.add_argument('--out', required=True, help='folder for everything that is written')
    parser.add_argument(
        '--budget', required=True, help='budget of a training: 600s (seconds) or 100000w (windows)'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='seeds of the trainings')
    parser.add_argument(
        '--data', nargs='+', help='folders of pairs (default: those of the configs)'
    )

    parser.add_argument('--tile-size', type=int, default=256, help='side of a tile in pixels')
    parser.add_argument(
        '--statistics',
        choices=('tiles', 'config'),
        default='tiles',
        help='source of mean and deviation; for heights it is always the config',
    )

    parser.add_argument('--arch', help="encoder of mmpretrain's VisionTransformer, for all entries")
    parser.add_argument('--img-size', type=int, default=128, help='side of the windows in pixels')
    parser.add_argument('--batch-size', type=int, default=64, help='number of windows in a batch')
    parser.add_argument(
        '--lr', type=float, help='learning rate for all entries (default: that of each config)'
    )
    parser.add_argument(
        '--warm-up',
        type=float,
        default=0.05,
        help='share of the budget in which the learning rate rises',
    )

    parser.add_argument(
        '--scale',
        type=float,
        nargs=2,
        default=(0.25, 1.0),
        help="smallest and largest share of a tile's area in a crop",
    )
    parser.add_argument(
        '--ratio',
        type=float,
        nargs=2,
        default=(3 / 4, 4 / 3),
        help='smallest and largest aspect ratio of a crop',
    )
    parser.add_argument(
        '--flip', action=argparse.BooleanOptionalAction, default=True, help='flip windows at random'
    )
    parser.add_argument(
        '--brightness', type=float, default=0.0, help='largest random change of brightness, 0 to 1'
    )
    parser.add_argument(
        '--contrast', type=float, default=0.0, help='largest random change of contrast, 0 to 1'
    )

    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings that override those of all configs',
    )
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='device of training and scoring (default: the GPU if there is one)',
    )
    parser.add_argument(
        '--amp',
        action=argparse.BooleanOptionalAction,
        help='use bfloat16 autocast (default: on a GPU only)',
    )
    parser.add_argument('--compile', action='store_true', help='compile the transformer layers')

    parser.add_argument(
        '--threads', type=int, default=1, help='number of CPU threads of each training'
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='number of simultaneous trainings, then of scorings'
    )

    parser.add_argument(
        '--suite',
        choices=('small',),
        help='named suite of sets for scoring: small, made of the imagery that ships',
    )
    parser.add_argument(
        '--sets', nargs='+', default=[], metavar='SET', help=f'{SYNTAX}; a JSON file; or a name'
    )
    parser.add_argument('--against', help='row that is subtracted (default: the first entry)')
    parser.add_argument(
        '--conv',
        action=argparse.BooleanOptionalAction,
        default=MeasurementSettings().conv,
        help='train the convolutional probe',
    )

    parser.add_argument('--no-scores', action='store_true', help='train only, without scoring')
    return parser.parse_args(arguments)


def check_arguments(args: argparse.Namespace) -> None:
    """Check the options and the entries before any work.

    Raises:
        UsageError: if a value is out of range.
        ValueError: if an entry or the budget is malformed.
    """
    expect_seeds(args.seeds)
    for option in ('jobs', 'threads', 'tile_size'):
        expect_number(_option(option), getattr(args, option), 1, integer=True)
    expect_device(args.device)

    entries = [parse_entry(text) for text in args.entries]
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise UsageError(f'entries: expected a name of its own for each, found {names}')
    for entry in entries:
        settings_of(args, entry, args.seeds[0])
        read_entry(args, entry)


def check_training(args: argparse.Namespace, entry: Entry, values: Mapping[str, Any]) -> None:
    """Check the conditions of an entry's training.

    Args:
        args: parsed command line.
        entry: entry to check.
        values: values of ``CROP_KEYS``, ``TRAINING_KEYS`` and ``MODEL_KEYS``.

    Raises:
        UsageError: if a value is out of range.
    """

    def expect(key: str, least: float, most: float = math.inf, **how: Any) -> None:
        label = f'{entry.name}: {key}' if key in entry.options else _option(key)
        expect_number(label, values[key], least, most, **how)

    expect('batch_size', 1, integer=True)
    if values['lr'] is not None:
        expect('lr', 0, above=True)
    expect('warm_up', 0, 1)
    expect('img_size', 1, args.tile_size, integer=True, note=' (--tile-size)')
    expect('brightness', 0, 1)
    expect('contrast', 0, 1)
    for key in ('scale', 'ratio'):
        if not isinstance(values[key], list | tuple) or len(values[key]) != 2:
            raise UsageError(f'{entry.name}: {key}: expected two numbers, found {values[key]!r}')


def _option(key: str) -> str:
    return f'--{key.replace("_", "-")}'


def read_entry(args: argparse.Namespace, entry: Entry) -> Config:
    """Read the config of an entry with the overrides of all entries and its own."""
    options = {key: value for key, value in entry.options.items() if '.' in key}
    return read_config(entry.config, options={**args.cfg_options, **options})


def settings_of(args: argparse.Namespace, entry: Entry, seed: int) -> TrainingSettings:
    """Collect the conditions of a training: the command line's, with the entry's overrides."""
    own = {key: value for key, value in entry.options.items() if '.' not in key}

    known = (*CROP_KEYS, *TRAINING_KEYS, *MODEL_KEYS)
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise UsageError(
            f'{entry.name}: expected keys of the config (with a dot) or of {list(known)}, '
            f'found {unknown}'
        )

    value: dict[str, Any] = {key: own.get(key, getattr(args, key)) for key in known}
    check_training(args, entry, value)

    crops = CropSettings(
        size=value['img_size'],
        scale=tuple(value['scale']),
        ratio=tuple(value['ratio']),
        flip=value['flip'],
        brightness=value['brightness'],
        contrast=value['contrast'],
    )

    return TrainingSettings(
        budget=Budget.parse(args.budget),
        crops=crops,
        seed=seed,
        **{key: value[key] for key in TRAINING_KEYS},
        amp=torch.device(args.device).type == 'cuda' if args.amp is None else args.amp,
        compiled=args.compile,
        device=args.device,
    )


def plan_scoring(args: argparse.Namespace) -> Scoring | None:
    """Read the settings of the scoring; None to train only.

    Every set is read once, so that errors show before hours of training.

    Raises:
        FileNotFoundError: if the folder of a set is missing.
        UsageError: if ``--against`` names no row, or an entry has the name of a baseline.
        ValueError: if a set is malformed, or its files are not as described.
    """
    names = [parse_entry(text).name for text in args.entries]
    sets = resolve_sets([*(suite(args.suite) if args.suite else []), *args.sets])
    if args.no_scores or not sets:
        return None

    baselines = [UNTRAINED, STATISTICS, CONVOLUTIONS]
    taken = sorted(set(names) & set(baselines))
    if taken:
        raise UsageError(f'entries: expected names other than those of baselines, found {taken}')
    rows = [*names, *baselines, *(f'{UNTRAINED} ({name})' for name in names)]
    if args.against not in (None, *rows):
        raise UsageError(f'--against: expected one of {rows}, found {args.against!r}')
    for one in sets:
        load_set(one, args.img_size)
    return Scoring(
        sets,
        MeasurementSettings(img_size=args.img_size, conv=args.conv),
        Path(args.out) / 'scores',
        device=args.device,
        threads=args.threads,
        jobs=args.jobs,
    )


def score(
    args: argparse.Namespace, scoring: Scoring, records: Sequence[dict[str, Any]], data: str
) -> str:
    """Score what is missing, write the final table and return it.

    Args:
        args: parsed command line.
        scoring: settings of the scoring.
        records: records of the finished trainings.
        data: description of the tiles.

    Returns:
        Content of the table.
    """
    out = Path(args.out)
    checkpoints: dict[str, dict[int, Path]] = {}
    for record in sorted(records, key=lambda one: args.seeds.index(one['seed'])):
        of_entry = checkpoints.setdefault(record['name'], {})
        of_entry[record['seed']] = out / record['checkpoint']
    table = score_checkpoints(checkpoints, scoring, lambda line: print(line, flush=True))

    against = args.against or parse_entry(args.entries[0]).name
    if against not in table.names:
        print(f'no row {against!r} to subtract, among {table.names}', file=sys.stderr)
        against = None
    conditions = describe_conditions(
        shlex.join(sys.argv), records, data, table, scoring.sets, scoring.settings
    )
    return write_standings(table, records, against, conditions, out)


def plan(args: argparse.Namespace) -> tuple[list[Run], str]:
    """Plan all trainings, in turns, and read the tiles that they share.

    Returns:
        Trainings, and a description of the tiles.

    Raises:
        FileNotFoundError: if a folder lacks the files of all modalities.
        UsageError: if two entries read one modality from different files.
        ValueError: if an encoder does not fit the windows.
    """
    entries = [parse_entry(text) for text in args.entries]
    settings = {(e.name, seed): settings_of(args, e, seed) for e in entries for seed in args.seeds}
    configs = {entry.name: read_entry(args, entry) for entry in entries}
    out = Path(args.out)

    modalities, relative = common_modalities(configs)
    tiles = prepare_tiles(out, args.data, configs, modalities, relative, args.tile_size)
    print(tiles.describe(), flush=True)

    statistics = {}
    if args.statistics == 'tiles':
        measured = [name for name in modalities if name not in relative]
        statistics = {name: tiles.statistics(name) for name in measured}

    runs = []
    for seed in args.seeds:
        for entry in entries:
            config = adapt_recipe(
                configs[entry.name],
                arch=entry.options.get('arch', args.arch),
                img_size=settings[entry.name, seed].crops.size,
                statistics=statistics,
            )

            config.randomness = dict(seed=seed)
            runs.append(
                Run(
                    name=entry.name,
                    config=config,
                    settings=settings[entry.name, seed],
                    tiles=out / 'tiles.npz',
                    out=out,
                    threads=args.threads,
                    command=shlex.join(sys.argv),
                )
            )

    return runs, tiles.describe()


def train_and_score(args: argparse.Namespace) -> dict[str, str]:
    """Train and score what is missing.

    Returns:
        Errors of the trainings that failed, by name.
    """
    check_arguments(args)
    out = Path(args.out)
    with lock_folder(out):
        for folder in (out, out / 'runs'):
            remove_partial_files(folder)
        scoring = plan_scoring(args)
        runs, data = plan(args)
        records, failed = execute_all(runs, args.jobs)
        print(write_runs(records, out), flush=True)
        if scoring is not None and records:
            print(f'\n{score(args, scoring, records, data)}')
    return failed


def main(arguments: list[str] | None = None) -> int:
    """Train and score; return 1 after a failure, 2 for a wrong input, 130 or 143 if stopped."""
    args = parse_args(arguments)
    try:
        with stop_on_signals():
            failed = train_and_score(args)
    except (UsageError, ValueError, OSError, KeyError, CheckpointError) as error:
        print(f'{Path(__file__).name}: {error}', file=sys.stderr)
        return 2
    except Stopped as error:
        print('stopped; the same command goes on with what is missing', file=sys.stderr)
        return error.exit_code
    for stem, reason in failed.items():
        print(f'{Path(__file__).name}: {stem}: {reason}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
