"""Frozen features of encoders on evaluation sets: one table with intervals and differences.

Usage: ``python tools/analysis_tools/eval_features.py NAME=CKPT[,CKPT_SEED2,...] ... --suite small
--out DIR``. docs/guide/features.md describes the sets and the measures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mssdf.errors import message_of
from mssdf.evaluation.frozen import (
    EncoderFile,
    EvaluationSet,
    MeasurementSettings,
    evaluate_encoders,
    resolve_sets,
    suite,
)
from mssdf.evaluation.frozen.evaluate import build_featurizers
from mssdf.evaluation.frozen.pictures import draw_features, plot_scores
from mssdf.evaluation.frozen.reading import load_set
from mssdf.evaluation.frozen.report import format_table, write_summary
from mssdf.evaluation.frozen.sets import SYNTAX

PROGRAM = Path(__file__).name


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    usual = MeasurementSettings()
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument(
        'encoders',
        nargs='+',
        metavar='NAME=CKPT[,CKPT...]',
        help='row of the table with its checkpoints (of this project, mmpretrain, timm or MAE), '
        'one for each seed in the same order for all rows; a,,c if a seed is missing',
    )

    parser.add_argument(
        '--suite',
        choices=('small',),
        help='named suite of sets: small, made of the imagery that ships',
    )
    parser.add_argument(
        '--sets', nargs='+', default=[], metavar='SET', help=f'{SYNTAX}; a JSON file; or a name'
    )
    parser.add_argument('--out', required=True, help='folder of the results; a second call resumes')
    parser.add_argument('--against', help='row that is subtracted (default: the untrained encoder)')

    parser.add_argument('--config', help='config of the model, for checkpoints that store none')
    parser.add_argument(
        '--mean', type=float, nargs=3, help="mean of red, green and blue (default: the model's)"
    )
    parser.add_argument(
        '--std',
        type=float,
        nargs=3,
        help="standard deviation of red, green and blue (default: the model's)",
    )

    parser.add_argument(
        '--img-size', type=int, default=usual.img_size, help='side of the images in pixels'
    )
    parser.add_argument('--k', type=int, nargs='+', default=usual.k, help='numbers of neighbors')
    parser.add_argument(
        '--folds', type=int, default=usual.scene_folds, help='number of folds of scenes'
    )
    parser.add_argument(
        '--dense-folds', type=int, default=usual.dense_folds, help='number of folds of windows'
    )
    parser.add_argument(
        '--shares',
        type=float,
        nargs='+',
        default=usual.shares,
        help='shares of the training labels of scenes, in percent',
    )
    parser.add_argument(
        '--penalties',
        type=float,
        nargs='+',
        default=usual.penalties,
        help='candidate penalties of the logistic regression',
    )

    parser.add_argument('--no-conv', action='store_true', help='leave out the convolutional probe')
    parser.add_argument(
        '--no-baselines',
        action='store_true',
        help='leave out the untrained encoder and the baselines',
    )
    parser.add_argument('--no-pictures', action='store_true', help='draw no pictures')
    parser.add_argument('--seed', type=int, default=usual.seed, help='seed of folds and shares')
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='device of encoders and probes (default: the GPU if there is one)',
    )
    parser.add_argument('--threads', type=int, help='number of CPU threads')

    return parser.parse_args(arguments)


def read_encoders(args: argparse.Namespace) -> dict[str, dict[int, EncoderFile]]:
    """Read the rows of the table with their checkpoints by the number of the run.

    The number of a run is its position in the item.

    Raises:
        ValueError: if an item is not ``NAME=CKPT``, or two have one name.
    """
    encoders: dict[str, dict[int, EncoderFile]] = {}
    for item in args.encoders:
        name, equals, paths = item.partition('=')
        files = {run: Path(path) for run, path in enumerate(paths.split(',')) if path}
        if not equals or not name or not files:
            raise ValueError(f'expected NAME=CKPT[,CKPT...], found {item!r}')
        if name in encoders:
            raise ValueError(f'{name}: expected different names, found it twice')
        config = Path(args.config) if args.config else None
        encoders[name] = {
            run: EncoderFile(path, config, args.mean, args.std) for run, path in files.items()
        }
    return encoders


def read_settings(args: argparse.Namespace) -> MeasurementSettings:
    """Read the settings of the measurement.

    Raises:
        ValueError: if a value is out of range.
    """
    return MeasurementSettings(
        img_size=args.img_size,
        k=tuple(args.k),
        scene_folds=args.folds,
        dense_folds=args.dense_folds,
        shares=tuple(args.shares),
        penalties=tuple(args.penalties),
        conv=not args.no_conv,
        seed=args.seed,
    )


def run(args: argparse.Namespace) -> list[str]:
    """Measure, print and draw; return what could not be measured."""
    if args.threads is not None:
        if args.threads < 1:
            raise ValueError(f'--threads: expected 1 or more, found {args.threads}')
        torch.set_num_threads(args.threads)

    sets: list[EvaluationSet] = resolve_sets(
        [*(suite(args.suite) if args.suite else []), *args.sets]
    )

    encoders, settings = read_encoders(args), read_settings(args)
    if not sets:
        raise ValueError('--sets: expected evaluation sets (--suite or --sets), found none')
    if (args.mean is None) != (args.std is None):
        raise ValueError('--mean: expected --mean and --std together, found one')

    table = evaluate_encoders(
        encoders,
        sets,
        args.out,
        settings,
        baselines=not args.no_baselines,
        device=args.device,
        progress=lambda line: print(line, flush=True),
        against=args.against,
    )

    untrained = [name for name in table.names if name.startswith('untrained')]
    wanted = args.against if args.against in table.names else None  # the row may have failed
    against = wanted or next(iter(untrained), table.names[0])
    rows = write_summary(table, against)
    print(f'\n{format_table(table, rows, against)}')

    out = Path(args.out)
    if not args.no_pictures:
        plot_scores(table, rows, out / 'scores.png')
        built = build_featurizers(encoders, not args.no_baselines, args.device)
        featurizers = {name: one for name, one in built.items() if name in table.names}
        measured = {name for units in table.units.values() for name in units}
        loaded = [load_set(one, settings.img_size) for one in sets if one.name in measured]
        draw_features(featurizers, loaded, out / 'features.png', args.device)

    print(f'\n{out}: table.csv, table.json, summary.csv, units/ (sums over each image)')
    return table.failures


def main(arguments: list[str] | None = None) -> int:
    """Measure; return 1 if a part failed, 2 for a wrong input, 130 if interrupted."""
    args = parse_args(arguments)
    try:
        failures = run(args)
    except (ValueError, OSError, RuntimeError, KeyError, SyntaxError) as error:
        print(f'{PROGRAM}: {message_of(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f'{PROGRAM}: interrupted; what is done is in {args.out}, the same command goes on',
            file=sys.stderr,
        )
        return 130
    for failure in failures:
        print(f'{PROGRAM}: not measured: {failure}', file=sys.stderr)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
