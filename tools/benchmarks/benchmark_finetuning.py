"""Fine-tune encoders for small tasks with few labels, and compare them in one table.

Each encoder, and a random one (`scratch`), is fine-tuned and tested by tools/train.py and
tools/test.py with the configs of 200 iterations, for every task and seed. One seed draws the same
labels for all encoders. Finished runs are kept, and a second call resumes. A result belongs to its
checkpoint, its config and the names, sizes and times of its data's files; a different one is an
error, and so is a second call while another one writes to --out.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mssdf.checkpoints.safe_load import read_state_dict
from mssdf.cli.arguments import expect_number, expect_seeds
from mssdf.cli.folder_lock import lock_folder
from mssdf.contest.finetuning import (
    DEFAULT_TASKS,
    Prepared,
    Run,
    RunFailedError,
    Task,
    compare,
    load_results,
    parse_task,
    prepare,
    run_all,
    to_csv,
    to_markdown,
)
from mssdf.contest.finetuning.tasks import KINDS
from mssdf.errors import CheckpointError, MissingFileError, UsageError
from mssdf.utils.atomic_file import write_atomically

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = 'scratch'
EPILOG = """\
tasks:
  buildings      masks of buildings, IoU and mIoU; buildings-10 with 10 % of the labels
  heights        heights above ground, RMSE and R2
  scenes         classes of images, top-1; scenes-10 with 10 % of the labels

data of one's own (--data TASK=FOLDER):
  buildings      FOLDER/img_dir/{train,val}/*, FOLDER/ann_dir/{train,val}/*.png (0, 1, 255 unknown);
                 or chips ZOOM-X-Y.* with labels.geojson, which are split by the ground they show
  heights        FOLDER/img_dir/{train,val}/*, FOLDER/height_dir/{train,val}/*.tif (meters)
  scenes         FOLDER/CLASS/*

writes under --out:
  table.md, table.csv                  after every run
  runs/TASK/NAME_seedN.json            sums over each test image, and the settings
  work/TASK/NAME_seedN/                logs, predictions, pictures

example:
  python tools/benchmarks/benchmark_finetuning.py ours=ours_0.pth,ours_1.pth,ours_2.pth \\
      mae=mae_0.pth,mae_1.pth,mae_2.pth --out work_dirs/finetuning --against mae
"""


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument(
        'encoders',
        nargs='*',
        metavar='NAME=CKPT[,CKPT...]',
        help='pre-training checkpoints of ViT-T: one, or one for each seed in their order',
    )

    parser.add_argument('--out', type=Path, required=True, help='folder of the results')
    parser.add_argument(
        '--tasks',
        nargs='+',
        default=list(DEFAULT_TASKS),
        metavar='TASK',
        help='tasks to run, see below',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0, 1, 2], help='seeds of training and labels'
    )
    parser.add_argument('--jobs', type=int, default=1, help='number of simultaneous runs')

    parser.add_argument(
        '--against', default=SCRATCH, metavar='NAME', help=f'row to compare with ({SCRATCH})'
    )
    parser.add_argument(
        '--data',
        nargs='+',
        default=[],
        metavar='TASK=FOLDER',
        help='folders of your own data by task',
    )
    parser.add_argument(
        '--source', type=Path, default=ROOT / 'tests/data', help='folder of the imagery that ships'
    )

    parser.add_argument(
        '--iterations', type=int, help="iterations of each run (default: the configs', 200)"
    )
    return parser.parse_args(arguments)


def read_encoders(given: Sequence[str], seeds: Sequence[int]) -> dict[str, list[Path | None]]:
    """Read the checkpoint of each seed by the encoder's name, the random encoder first.

    Raises:
        FileNotFoundError: if a checkpoint is missing.
        ValueError: if a name or the number of checkpoints is wrong.
    """
    encoders: dict[str, list[Path | None]] = {SCRATCH: [None] * len(seeds)}
    for text in given:
        name, equals, files = text.partition('=')
        if not equals or not name or '/' in name or name in encoders:
            raise ValueError(
                f'--encoders: expected NAME=CHECKPOINT with a name of its own, no /, found {text!r}'
            )
        paths: list[Path | None] = [Path(file).absolute() for file in files.split(',')]
        if len(paths) not in (1, len(seeds)):
            raise ValueError(
                f'{name}: expected one checkpoint or {len(seeds)}, one for each seed, '
                f'found {len(paths)}'
            )
        for path in paths:
            if path is None or not path.is_file():
                raise MissingFileError(str(path), f'a checkpoint ({name})')
        encoders[name] = paths if len(paths) > 1 else paths * len(seeds)
    return encoders


def check_checkpoints(encoders: Mapping[str, Sequence[Path | None]]) -> None:
    """Read every checkpoint once, so that a wrong one fails before hours of training.

    Raises:
        ValueError: if a file cannot be read or holds no encoder.
    """
    for name, files in encoders.items():
        for path in dict.fromkeys(file for file in files if file is not None):
            try:
                weights = read_state_dict(path)
            except CheckpointError as error:
                raise ValueError(f'{name}: expected a checkpoint, found {error}') from None
            if not any(key.startswith('backbone.') for key in weights):
                raise ValueError(
                    f'{name}: {path}: expected weights backbone.*, found {sorted(weights)[:3]}'
                )


def read_data(given: Sequence[str], tasks: Sequence[Task]) -> dict[str, Path]:
    """Read the folders of a user's own data, by the kind of task.

    Raises:
        ValueError: if a kind is unknown, is not among the tasks, or is given twice.
        FileNotFoundError: if a folder is missing.
    """
    folders: dict[str, Path] = {}
    for text in given:
        kind, equals, folder = text.partition('=')
        if kind not in KINDS or not equals:
            raise ValueError(
                f'--data: expected TASK=FOLDER with one of {list(KINDS)}, found {text!r}'
            )
        if kind in folders:
            raise ValueError(f'--data {text}: expected one folder of {kind}, found {folders[kind]}')
        if kind not in {task.kind for task in tasks}:
            names = [task.name for task in tasks]
            raise ValueError(f'--data {text}: expected data of a task of --tasks, found {names}')
        if not Path(folder).is_dir():
            raise FileNotFoundError(f'--data {text}: expected a folder, found no such folder')
        folders[kind] = Path(folder).absolute()
    return folders


def shorten(iterations: int | None) -> dict[str, int]:
    """Make the settings of runs of another length, a tenth of which is warm-up.

    Raises:
        ValueError: if the length is below 2.
    """
    if iterations is None:
        return {}
    if iterations < 2:
        raise ValueError(f'--iterations: expected at least 2, found {iterations}')
    warm_up = max(iterations // 10, 1)
    return {
        'train_cfg.max_iters': iterations,
        'train_cfg.val_interval': iterations,
        'default_hooks.checkpoint.interval': iterations,
        'param_scheduler.0.end': warm_up,
        'param_scheduler.1.begin': warm_up,
        'param_scheduler.1.end': iterations,
    }


class Report:
    """A report of progress, with the growing table.

    Args:
        runs: all runs.
        out: folder of the results.
        against: name of the row of the comparison.
    """

    def __init__(self, runs: Sequence[Run], out: Path, against: str) -> None:
        self.runs, self.out, self.against = runs, out, against
        self.done = sum(run.path(out).exists() for run in runs)
        self.left_at_start = len(runs) - self.done
        self.begun = time.monotonic()
        if self.done:
            print(f'{self.done} of {len(runs)} runs are there already', flush=True)

    def __call__(self, run: Run, seconds: float) -> None:
        """Report a finished run."""
        self.done += 1
        (result,) = load_results([run.path(self.out)])
        rows = compare([result], [run.task], run.name)
        scores = ', '.join(f'{row.score} {row.value.value:.3f}' for row in rows)
        made = self.left_at_start - (len(self.runs) - self.done)
        left = (time.monotonic() - self.begun) / made * (len(self.runs) - self.done)
        print(
            f'[{self.done}/{len(self.runs)}] {run.task.name}, {run.name}, seed {run.seed}: '
            f'{scores} ({seconds:.0f} s; {left / 60:.0f} min left)',
            flush=True,
        )
        self.write()

    def write(self) -> str:
        """Write the table of all finished runs, and return it."""
        results = load_results(run.path(self.out) for run in self.runs)
        tasks: list[Task] = list(dict.fromkeys(run.task for run in self.runs))
        rows = compare(results, tasks, self.against)
        text = to_markdown(rows, self.against) if rows else ''
        write_atomically(self.out / 'table.csv', to_csv(rows, self.against).encode())
        write_atomically(self.out / 'table.md', text.encode())
        return text


def stop(signum: int, frame: FrameType | None) -> NoReturn:
    """Stop as on Ctrl-C, so that the tools do not go on alone."""
    raise KeyboardInterrupt


def run_missing(args: argparse.Namespace) -> None:
    """Check the command line, then run everything that is missing.

    Raises:
        OSError: if a file is missing or holds something else.
        UsageError: if a number is wrong, or another call writes to the folder.
        ValueError: if another input is wrong.
        RunFailedError: if a run fails.
    """
    expect_seeds(args.seeds)
    expect_number('--jobs', args.jobs, 1, integer=True)
    tasks = [parse_task(name) for name in dict.fromkeys(args.tasks)]
    encoders, data = read_encoders(args.encoders, args.seeds), read_data(args.data, tasks)
    if args.against not in encoders:
        raise ValueError(f'--against: expected one of {list(encoders)}, found {args.against}')
    options = shorten(args.iterations)
    check_checkpoints(encoders)

    out = args.out.absolute()
    with lock_folder(out):
        runs: list[tuple[Run, Prepared]] = []
        for task in tasks:
            for index, seed in enumerate(args.seeds):
                prepared = prepare(task, seed, args.source, out / 'data', data.get(task.kind))
                runs += [
                    (Run(task, name, files[index], seed, options), prepared)
                    for name, files in encoders.items()
                ]

        report = Report([run for run, _ in runs], out, args.against)
        run_all(runs, out, ROOT / 'tools', args.jobs, report)
        print(report.write())


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing; return 1 for a failed run, 2 for a wrong input, 130 if stopped."""
    args = parse_args(arguments)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        run_missing(args)
    except (OSError, UsageError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}', file=sys.stderr)
        return 2
    except RunFailedError as error:
        print(f'{Path(__file__).name}: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('Stopped. Finished runs are kept; the same command goes on.', file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


if __name__ == '__main__':
    sys.exit(main())
