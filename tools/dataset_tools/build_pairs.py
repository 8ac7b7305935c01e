"""Make co-registered training data from orthophotos, multispectral rasters and surface models.

Sources may differ in CRS, resolution, extent, band order and nodata, be one file or many, local or
GDAL's virtual ones (/vsicurl/, /vsis3/). docs/guide/preparing.md is the guide.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mssdf.errors import one_line
from mssdf.preparation.pairs import (
    COMPRESSIONS,
    FORMATS,
    RESAMPLINGS,
    SUFFIXES,
    BuildSettings,
    Plan,
    SourceSettings,
    build,
    describe,
    find_rasters,
    forget,
    forgotten,
    lay_out,
    make_plan,
    summarize,
    write_reports,
)
from mssdf.rasters.read_errors import READ_ERRORS

EPILOG = """\
NAME=VALUE options are given once for each modality. A place is a folder (with all below it), a
pattern, a .txt with one name in a line, a raster, or a virtual path of GDAL.

writes
  OUT/{train,val}/patch/TILE_dom.tif, TILE_dsm.tif ...   cloud-optimized GeoTIFFs, HR-Pairs layout
  OUT/{train,val}/shards/...                             with --formats shards
  OUT/report.json, tiles.csv, report.png                 counts, sizes, windows dropped, alignment
  OUT/settings.json, split.json, .build/                 state from which an interrupted run resumes

example:
  python tools/dataset_tools/build_pairs.py data/pairs --source rgb=ortho/ --source dsm=dsm/ \\
      --dtm dsm=dtm/ --bands rgb=1,2,3 --resolution 0.25 --formats pairs shards
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('out', type=Path, help='folder to write')
    named: dict[str, Any] = dict(action='append', default=[], metavar='NAME=VALUE', type=_named)
    parser.add_argument(
        '--source',
        action='append',
        nargs='+',
        required=True,
        metavar='NAME=PLACE',
        help='modality and the places of its rasters, the first one with the name; the first '
        'modality is the reference, whose grid the output has',
    )

    parser.add_argument(
        '--unit', help="unit of heights, such as dsm=ft, or 'ignore' (default: the files')", **named
    )
    parser.add_argument('--dtm-nodata', help="--nodata of the ground's rasters", **named)
    parser.add_argument('--dtm-unit', help="--unit of the ground's rasters", **named)
    parser.add_argument(
        '--dtm', help='ground that is subtracted from heights, such as dsm=PLACE', **named
    )

    parser.add_argument(
        '--bands', help='band numbers from 1, such as rgb=1,2,3 (default: all but alpha)', **named
    )
    parser.add_argument(
        '--nodata', help="number without data, or 'ignore' (default: the files')", **named
    )
    parser.add_argument(
        '--resampling', help=f'{", ".join(RESAMPLINGS)} (auto; heights: bilinear)', **named
    )
    parser.add_argument(
        '--suffix', help='suffix of the files (default: rgb=_dom.tif, dsm=_dsm.tif)', **named
    )

    parser.add_argument(
        '--min-contrast',
        help="standard deviation in the modality's unit below which it is flat; a window is "
        'dropped if all its modalities are flat (default: 0, none)',
        **named,
    )
    parser.add_argument(
        '--optional', nargs='+', default=[], metavar='NAME', help='modalities that may be missing'
    )

    parser.add_argument(
        '--crs', help="CRS of the output (default: the reference's; UTM for degrees)"
    )
    parser.add_argument(
        '--resolution', type=float, help="meters per pixel (default: the reference's)"
    )
    parser.add_argument(
        '--tile', type=int, default=1280, help='side of a pair in pixels (default: 1280)'
    )
    parser.add_argument(
        '--window', type=int, default=320, help='side of a window in pixels (default: 320)'
    )

    parser.add_argument(
        '--formats',
        nargs='+',
        default=['pairs'],
        choices=FORMATS,
        help='formats to write (default: pairs)',
    )
    parser.add_argument(
        '--compress',
        default='zstd',
        choices=COMPRESSIONS,
        help='compression of the GeoTIFFs (default: zstd)',
    )

    parser.add_argument(
        '--max-invalid',
        type=float,
        default=0.5,
        help='largest share of invalid pixels in a window (default: 0.5)',
    )
    parser.add_argument(
        '--val-share',
        type=float,
        default=0.1,
        help='share of the area for validation (default: 0.1)',
    )
    parser.add_argument(
        '--split-block',
        type=int,
        default=4,
        help='side of the areas that are split, in tiles (default: 4)',
    )
    parser.add_argument(
        '--split-gap', type=int, help='pixels between training and validation (default: a window)'
    )
    parser.add_argument(
        '--max-shift',
        type=int,
        default=16,
        help='largest shift that is searched, in pixels (default: 16)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the split (default: 0)')

    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        help='number of processes (default: all cores); 0 uses this one',
    )
    parser.add_argument('--scheduler', help='address of a Dask scheduler, such as tcp://HOST:8786')
    parser.add_argument(
        '--memory-limit', help='memory of a process, such as 4GiB (default: an equal share)'
    )

    parser.add_argument(
        '--dry-run', action='store_true', help='describe the tiles without making them'
    )
    parser.add_argument(
        '--prune', action='store_true', help='remove tiles whose rasters are no longer given'
    )

    return parser.parse_args(arguments)


def _named(text: str) -> tuple[str, str]:
    name, separator, value = text.partition('=')
    if not (name and separator and value):
        raise argparse.ArgumentTypeError(f'expected NAME=VALUE, found {text!r}')
    return name, value


def read_settings(args: argparse.Namespace) -> BuildSettings:
    """Convert the command line to settings of the library.

    Raises:
        ValueError: if an option does not fit.
    """
    places: dict[str, list[str]] = {}
    for first, *more in args.source:
        name, separator, place = first.partition('=')
        if not (name and separator and place):
            raise ValueError(f'--source: expected NAME=PLACE, found {first!r}')
        places.setdefault(name, []).extend([place, *more])

    options = {
        key: dict(getattr(args, key))
        for key in (
            *('bands', 'nodata', 'unit', 'dtm_nodata', 'dtm_unit'),
            *('resampling', 'suffix', 'min_contrast'),
        )
    }

    ground: dict[str, list[str]] = {}
    for name, place in args.dtm:
        ground.setdefault(name, []).append(place)

    for key, given in (*options.items(), ('dtm', ground), ('optional', args.optional)):
        unknown = sorted(set(given) - set(places))
        if unknown:
            raise ValueError(
                f'--{key.replace("_", "-")}: expected some of {list(places)}, found {unknown}'
            )

    sources = {
        name: SourceSettings(
            files=find_rasters(places[name]),
            bands=_bands(options['bands'].get(name)),
            nodata=_nodata('--nodata', options['nodata'].get(name)),
            unit=options['unit'].get(name),
            resampling=options['resampling'].get(name, 'auto'),
            terrain=find_rasters(ground.get(name, [])),
            terrain_nodata=_nodata('--dtm-nodata', options['dtm_nodata'].get(name)),
            terrain_unit=options['dtm_unit'].get(name),
            optional=name in args.optional,
            min_contrast=_number('--min-contrast', options['min_contrast'].get(name, '0')),
            suffix=options['suffix'].get(name, SUFFIXES.get(name, f'_{name}.tif')),
        )
        for name in places
    }

    return BuildSettings(
        sources=sources,
        out=str(args.out),
        crs=args.crs,
        resolution=args.resolution,
        tile=args.tile,
        window=args.window,
        formats=tuple(dict.fromkeys(args.formats)),
        max_invalid=args.max_invalid,
        val_share=args.val_share,
        split_block=args.split_block,
        split_gap=args.window if args.split_gap is None else args.split_gap,
        max_shift=args.max_shift,
        compress=args.compress,
        seed=args.seed,
    )


def _bands(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(band) for band in text.split(','))
    except ValueError:
        raise ValueError(f'--bands: expected numbers such as 1,2,3, found {text!r}') from None


def _nodata(option: str, text: str | None) -> float | str | None:
    return text if text in (None, 'ignore') else _number(option, str(text))


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{option}: expected a number, found {text!r}') from None


def describe_plan(plan: Plan, settings: BuildSettings, parts: Sequence[str]) -> str:
    """Describe the tiles to make in a few lines."""
    grids = {tile.grid.crs: tile.grid for tile in plan.tiles}
    lines = [
        f'{grid.code}: tiles of {grid.tile} pixels, {grid.pixel:g} units each'
        for grid in grids.values()
    ]
    lines += [
        f'{name}: {plan.bands[name]} band(s), {plan.dtypes[name]}, {len(source.files)} raster(s)'
        for name, source in settings.sources.items()
    ]
    lines.append(
        f'{len(parts)} tiles, {parts.count("train")} for training and {parts.count("val")} for '
        f'validation; {plan.no_overlap} lack a required modality'
    )
    lines += plan.notes
    lines += [f'refused: {path}: {reason}' for path, reason in plan.refused.items()]
    return '\n'.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; return 1 if a tile failed, 2 for a wrong input, 130 if stopped."""
    args = parse_args(arguments)

    try:
        settings = read_settings(args)
        plan = make_plan(settings)
        if not plan.tiles:
            raise ValueError(
                'the modalities overlap nowhere: expected rasters of the same place, found none; '
                'is a CRS wrong?'
            )

        jobs = lay_out(plan, settings)
        old = forgotten(jobs, settings)
        if old and not args.prune:
            raise ValueError(
                f'{args.out}: expected tiles of the rasters that are given, found '
                f'{len(old)} of others; --prune removes them'
            )
        parts = [job.part for job in jobs]

        print(describe_plan(plan, settings, parts), flush=True)
        if args.val_share > 0 and 'val' not in parts:
            print(
                'Warning: nothing is for validation, as the areas are too few to split; a smaller '
                '--split-block makes more',
                flush=True,
            )

        if args.dry_run:
            return 0

        forget(old, settings)
        records = build(
            jobs,
            plan,
            settings,
            workers=args.workers,
            scheduler=args.scheduler,
            memory_limit=args.memory_limit,
        )

        summary = summarize(records, plan, settings)
        paths = write_reports(args.out, records, summary)
    except (*READ_ERRORS, ValueError, ImportError) as error:
        print(f'{Path(__file__).name}: {one_line(error)}')
        return 2
    except KeyboardInterrupt:
        print('Stopped. The same command goes on from here.')
        return 130

    print(describe(summary))
    print(f'Reports: {", ".join(map(str, paths))}')
    return 1 if summary['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
