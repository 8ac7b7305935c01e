"""Run every downstream task for a minute, from a checkpoint and from scratch, on examples.

Each task's ViT-T config is trained for a few iterations on a small data set in the layout of the
public one (tools/dataset_tools/make_examples.py), tested and drawn through tools/train.py and
tools/test.py. Prints a table of seconds per iteration and scores. The examples' labels are mostly
derived and the runs are short: the scores show that a task works; they do not rate a checkpoint.
Finished runs are kept, and a second call resumes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from mssdf.preparation.examples import make_examples

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Task:
    """A row of the table."""

    name: str
    config: str
    example: str
    score: str
    options: dict[str, object]
    overlays: tuple[str, ...] = ()

    @property
    def spelling(self) -> str:
        """The config with its overlays, for the table."""
        return '+'.join([self.config, *self.overlays])


def schedule(length: int, warm_up: int) -> dict[str, object]:
    """Set warm-up and decay for a short run."""
    return {
        'param_scheduler.0.end': warm_up,
        'param_scheduler.1.begin': warm_up,
        'param_scheduler.1.end': length,
    }


def epochs(count: int, batch: int) -> dict[str, object]:
    """Set a training of some epochs, with a validation at the end."""
    return {
        'train_cfg.max_epochs': count,
        'train_cfg.val_interval': count,
        'default_hooks.checkpoint.interval': count,
        'train_dataloader.batch_size': batch,
        **schedule(count, 1),
    }


def iterations(count: int, batch: int) -> dict[str, object]:
    """Set a training of some iterations, with a validation at the end."""
    return {
        'train_cfg.max_iters': count,
        'train_cfg.val_interval': count,
        'default_hooks.checkpoint.interval': count,
        'train_dataloader.batch_size': batch,
        'optim_wrapper.optimizer.lr': 5e-4,
        **schedule(count, 5),
    }


def tasks(length: int) -> Iterator[Task]:
    """List all tasks, for runs of about ``length`` iterations.

    Yields:
        Tasks of classification, segmentation, heights, changes, then boxes.
    """
    small = {
        'train_dataloader.dataset.pipeline.1.scale': 64,
        'val_dataloader.dataset.pipeline.1.scale': '(64,64)',
        'test_dataloader.dataset.pipeline.1.scale': '(64,64)',
    }

    for data in ('aid', 'nwpu-resisc45', 'ucm', 'eurosat'):
        for kind, schedule_name in (('', 'adamw-100e'), ('-linear', 'sgd-90e')):
            for share in ((), ('labels-20',)):
                # of 26 or 5 iterations of small images: four times as many as elsewhere
                count = max(round(4 * length / (5 if share else 26)), 2)
                yield Task(
                    f'{data}, {"linear probe" if kind else "fine-tuning"}'
                    f'{", 20 % of the labels" if share else ""}',
                    f'classification/mssdf_vit-t-p16{kind}_4xb64-{schedule_name}_{data}',
                    data,
                    'accuracy/top1',
                    small | epochs(count, 16),
                    share,
                )

    yield Task(
        'eurosat, 13 bands',
        'classification/mssdf_vit-t-p16_4xb64-adamw-100e_eurosat-ms',
        'eurosat-ms',
        'accuracy/top1',
        epochs(max(round(4 * length / 6), 2), 8),
    )

    crop = {'train_dataloader.dataset.pipeline.2.scale': '(128,128)'}
    whole = {
        'val_dataloader.dataset.pipeline.1.scale': '(128,128)',
        'test_dataloader.dataset.pipeline.1.scale': '(128,128)',
    }

    for data in ('potsdam', 'vaihingen', 'loveda', 'isaid'):
        score = 'full-5-classes/mIoU' if data in ('potsdam', 'vaihingen') else 'mIoU'
        for share in ((), ('labels-50',)):
            yield Task(
                f'{data}, segmentation{", half of the labels" if share else ""}',
                f'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_{data}',
                data,
                score,
                crop | whole | iterations(length, 4),
                share,
            )

    for data in ('potsdam', 'vaihingen'):
        crops = {'train_dataloader.dataset.pipeline.2.crop_size': '(128,128)'}
        yield Task(
            f'{data}, segmentation with heights',
            f'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_{data}-dsm',
            data,
            'full-5-classes/mIoU',
            crops | iterations(length, 4),
        )

    for data in ('us3d', 'potsdam-height', 'vaihingen-height'):
        yield Task(
            f'{data.removesuffix("-height")}, heights',
            f'height_estimation/mssdf_vit-t-p16-vpd_4xb8-adamw-30e_{data}',
            data.removesuffix('-height'),
            'RMSE',
            {
                'train_dataloader.dataset.pipeline.2.crop_size': '(128,128)',
                'optim_wrapper.optimizer.lr': 5e-4,
            }
            | epochs(max(round(length / 6), 2), 4),
        )

    crops = {'train_dataloader.dataset.pipeline.2.crop_size': '(128,128)'}
    for data in ('levir-cd', 'whu-cd'):
        yield Task(
            f'{data}, change',
            f'change_detection/mssdf_vit-t-p16-siamese-upernet_1xb16-adamw-40k_{data}',
            data,
            'F1',
            crops | iterations(length, 4),
        )

    yield Task(
        'second, change',
        'change_detection/mssdf_vit-t-p16-siamese-upernet_1xb8-adamw-40k_second-binary',
        'second',
        'F1',
        iterations(length, 2),
    )

    yield Task(
        'second, semantic change',
        'change_detection/mssdf_vit-t-p16-semantic-change_1xb8-adamw-40k_second',
        'second',
        'Score',
        iterations(length, 2),
    )

    yield from boxes(length)


def boxes(length: int) -> Iterator[Task]:
    """List the tasks of detection, with narrow heads and images of 256 px."""
    size = '(256,256)'

    narrow = {
        'model.neck.out_channels': 64,
        'model.rpn_head.in_channels': 64,
        'model.rpn_head.feat_channels': 64,
        'model.roi_head.bbox_roi_extractor.out_channels': 64,
        'model.roi_head.bbox_head.in_channels': 64,
        'model.roi_head.bbox_head.fc_out_channels': 128,
        'val_dataloader.dataset.pipeline.1.scale': size,
        'test_dataloader.dataset.pipeline.1.scale': size,
        'train_dataloader.batch_size': 2,
        'optim_wrapper.optimizer.lr': 5e-4,
        'param_scheduler.0.end': 5,
    }

    for name, example, model, position in (
        ('detection/{}_dior', 'dior', 'faster-rcnn', 2),
        ('detection/{}_nwpu-vhr10', 'nwpu-vhr10', 'faster-rcnn', 2),
        ('rotated_detection/{}_dior-r', 'dior', 'oriented-rcnn', 3),
        ('rotated_detection/{}_dota', 'dota', 'oriented-rcnn', 3),
    ):
        parts = ('datasets.0.', 'datasets.1.') if example == 'dior' else ('',)
        count = max(round(length / 2), 2)  # epochs of about four iterations
        yield Task(
            name.split('_')[-1] + (', rotated boxes' if position == 3 else ', boxes'),
            name.format(f'mssdf_vit-t-p16-{model}_4xb4-adamw-12e'),
            example,
            'AP50' if position == 3 else 'coco/bbox_mAP_50',
            narrow
            | {
                'train_cfg.max_epochs': count,
                'train_cfg.val_interval': count,
                'default_hooks.checkpoint.interval': count,
            }
            | {f'train_dataloader.dataset.{part}pipeline.{position}.scale': size for part in parts},
        )


def run(task: Task, data: Path, out: Path, checkpoint: Path | None) -> tuple[float, float]:
    """Train, test and draw; return the median seconds per iteration and the score."""
    scores = out / 'test/scores.json'

    if not scores.exists():
        options = {
            f'{loader}_dataloader.{key}': value
            for loader in ('train', 'val', 'test')
            for key, value in (('num_workers', 0), ('persistent_workers', False))
        } | {'default_hooks.logger.interval': 1, **task.options}

        # A result is kept, so a task that is finished is not run again.
        given = ['--data-root', str(data), '--cfg-options']
        given += [f'{key}={value}' for key, value in options.items()]
        config, overlays = f'{task.config}.py', list(task.overlays)
        if not checkpoint:
            overlays.append('random' if '-linear_' in config else 'scratch')
        variants = ['--with', *overlays] if overlays else []
        start = ['--checkpoint', str(checkpoint)] if checkpoint else []

        command(
            ['train.py', config, *variants, '--work-dir', str(out / 'train'), *start, *given],
            out / 'train.txt',
        )

        weights = (out / 'train/last_checkpoint').read_text().strip()
        command(
            ['test.py', config, weights, *variants, '--work-dir', str(out / 'test'), *given],
            out / 'test.txt',
        )

    lines = [
        json.loads(line)
        for path in sorted(out.glob('train/*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    times = sorted(line['time'] for line in lines if 'time' in line and 'lr' in line)

    scored = json.loads(scores.read_text())['scores']  # empty if no box was found
    return times[len(times) // 2], scored.get(task.score, float('nan'))


def command(arguments: list[str], log: Path) -> None:
    """Run a tool.

    Raises:
        RuntimeError: if the tool fails; the message ends with its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    script = str(ROOT / 'tools' / arguments[0])
    with log.open('w') as file:
        done = subprocess.run(
            [sys.executable, script, *arguments[1:]], stdout=file, stderr=subprocess.STDOUT
        )
    if done.returncode:
        raise RuntimeError(f'{" ".join(arguments)}\n{log.read_text()[-3000:]}')


def main() -> int:
    """Run all tasks and print the table; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'checkpoint', type=Path, help='checkpoint of ViT-T, such as that of the quick start'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/downstream'),
        help='folder of data, runs and results',
    )
    parser.add_argument(
        '--length', type=int, default=40, help='approximate number of iterations of each run'
    )
    parser.add_argument(
        '--only', default='', help='text that the name or config of a task must contain'
    )
    args = parser.parse_args()

    print(
        f'{platform.machine()}, torch {torch.__version__}, '
        f'{os.environ.get("OMP_NUM_THREADS", "all")} threads, ViT-T, about {args.length} iterations'
    )
    print('| task | config | data | s/iteration | score | from the checkpoint | from scratch |')
    print('|---|---|---|---|---|---|---|')

    failed = 0
    for task in tasks(args.length):
        if args.only not in f'{task.name} {task.spelling}':
            continue
        (data,) = make_examples(ROOT / 'tests/data', args.out / 'data', [task.example])

        cells = []
        for kind, checkpoint in (('checkpoint', args.checkpoint.absolute()), ('scratch', None)):
            name = task.spelling.replace('/', '_')
            try:
                cells.append(run(task, data, (args.out / name / kind).absolute(), checkpoint))
            except RuntimeError as error:
                print(f'{task.name}: {error}', file=sys.stderr)
                failed += 1
                cells.append((float('nan'), float('nan')))

        print(
            f'| {task.name} | `{task.spelling}` | {task.example} | {cells[0][0]:.2f} | '
            f'{task.score} | {cells[0][1]:.4g} | {cells[1][1]:.4g} |',
            flush=True,
        )

    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
