"""Compute statistics of each modality and band for a data preprocessor's ``statistics='FILE'``.

Over the valid pixels of all scenes: mean, standard deviation, minimum, maximum, percentiles and
the valid share; for heights also relative to the median of their window. After an interruption,
the same command resumes.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mssdf.datasets import MultiModalRasterDataset
from mssdf.errors import one_line
from mssdf.preparation.statistics import PERCENTILES, compute_statistics, write_statistics
from mssdf.rasters.read_errors import READ_ERRORS
from mssdf.registry import DATASETS

EPILOG = """\
expected layout, unless --scenes or the config lists the files:
  DATA_ROOT/patch/NAME_dom.tif     orthophoto   --modality rgb=_dom.tif
  DATA_ROOT/patch/NAME_dsm.tif     heights      --modality dsm=_dsm.tif
  DATA_ROOT/patch/NAME<suffix>     any further  --modality ms=_ms.tif:1,2,3,4  (bands 1 to 4)
a scene may lack any of them.

examples:
  python tools/dataset_tools/compute_statistics.py CONFIG.py --out statistics.json
  python tools/dataset_tools/compute_statistics.py --data-root data/hr_pairs \\
      --modality rgb=_dom.tif --modality dsm=_dsm.tif --relative dsm
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('config', nargs='?', help='config whose train_dataloader.dataset is read')
    parser.add_argument(
        '--config', dest='config_option', metavar='CONFIG', help='another way to give the config'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config',
    )
    parser.add_argument('--data-root', help='folder of the data (also: variable MSSDF_DATA)')

    parser.add_argument(
        '--modality',
        action='append',
        default=[],
        metavar='NAME=SUFFIX[:BANDS]',
        help='without a config: modality and the suffix of its files',
    )
    parser.add_argument(
        '--folder',
        default='patch',
        help='without a config: subfolder of the rasters (default: patch)',
    )
    parser.add_argument(
        '--scenes', metavar='FILE', help='without a config: JSON, YAML or CSV index of scenes'
    )

    parser.add_argument(
        '--window-size',
        type=int,
        default=320,
        help='without a config: side of the windows of relative heights, in pixels',
    )

    parser.add_argument(
        '--relative',
        nargs='+',
        metavar='NAME',
        help='modalities to measure relative to the window median too; by default '
        'those with relative_to_median in the config',
    )

    parser.add_argument(
        '--percentiles',
        nargs='+',
        type=float,
        default=list(PERCENTILES),
        help='percentiles from 0 to 100',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        help='number of processes (default: all cores)',
    )
    parser.add_argument('--out', default='statistics.json', help='file to write')

    args = parser.parse_args()
    args.config = args.config or args.config_option
    if bool(args.config) == bool(args.modality):
        parser.error('expected either a config or at least one --modality NAME=SUFFIX')
    return args


def from_config(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return the dataset of a config, and the modalities that it makes relative."""
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options or {})
    init_default_scope(config.get('default_scope') or 'mssdf')
    dataset = config.get('train_dataloader', {}).get('dataset')
    while dataset and 'dataset' in dataset:  # unwraps wrappers of datasets
        dataset = dataset.dataset
    if not dataset:
        raise KeyError(f'{args.config}: expected train_dataloader.dataset, found none')
    dataset = {**dataset, 'pipeline': []}
    root = args.data_root or os.environ.get('MSSDF_DATA')
    if root:
        dataset['data_root'] = root
    preprocessor = config.get('model', {}).get('data_preprocessor') or {}
    settings = preprocessor.get('modalities') or {}
    relative = [name for name, s in settings.items() if s.get('relative_to_median')]
    return dataset, [name for name in relative if name in dataset['modalities']]


def from_options(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return a dataset of the rasters that the command line names."""
    modalities = {}
    for text in args.modality:
        name, _, rest = text.partition('=')
        suffix, _, bands = rest.partition(':')
        if not name or not (suffix or args.scenes):
            raise ValueError(f'--modality: expected NAME=SUFFIX or NAME=SUFFIX:1,2,3, found {text}')
        modalities[name] = dict(
            suffix=suffix or None, bands=[int(b) for b in bands.split(',')] if bands else None
        )
    dataset = dict(
        type='mssdf.MultiModalRasterDataset',
        data_root=args.data_root,
        index=dict(folder=args.folder),
        scenes=args.scenes,
        modalities=modalities,
        windows=dict(size=args.window_size),
    )
    return dataset, []


def print_table(statistics: dict[str, dict[str, Any]]) -> None:
    """Print one row per band."""
    names = list(next(iter(statistics.values()))['percentiles'])
    table = Table(title='Statistics of valid pixels')
    for column in ('modality', 'band', 'valid', 'mean', 'std', 'min', 'max'):
        table.add_column(column, justify='left' if column == 'modality' else 'right')
    for name in names:
        table.add_column(f'{name} %', justify='right')
    for modality, values in statistics.items():
        rows = [(modality, values)]
        if 'relative' in values:
            rows.append((f'{modality}, relative', values['relative']))
        for label, row in rows:
            for band in range(len(row['mean'])):
                numbers = [row[key][band] for key in ('mean', 'std', 'min', 'max')]
                numbers += [row['percentiles'][name][band] for name in names]
                share = f'{values["valid_share"]:.1%}'
                table.add_row(label, str(band + 1), share, *(f'{n:.5g}' for n in numbers))
    Console(width=None if Console().is_terminal else 160).print(table)


def main() -> None:
    """Measure, print, write."""
    args = parse_args()
    settings, relative = from_config(args) if args.config else from_options(args)
    dataset = DATASETS.build(settings)
    if not isinstance(dataset, MultiModalRasterDataset):
        raise TypeError(
            f'expected a MultiModalRasterDataset, found {type(dataset).__name__} in {args.config}'
        )
    chosen = relative if args.relative is None else args.relative
    statistics = compute_statistics(
        dataset, chosen, args.percentiles, args.workers, partial=f'{args.out}.partial.npz'
    )
    print_table(statistics)
    write_statistics(args.out, statistics)
    print(f'written to {args.out}')


if __name__ == '__main__':
    try:
        main()
    except (*READ_ERRORS, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f'{Path(__file__).name}: {one_line(error)}') from None
    except KeyboardInterrupt:
        raise SystemExit('interrupted; the same command goes on from here') from None
