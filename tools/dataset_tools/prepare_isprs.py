"""Clip ISPRS Potsdam or Vaihingen: images, labels and heights together, in mmseg's layout."""

import argparse
import sys
from pathlib import Path

from mssdf.errors import MissingFileError
from mssdf.preparation.benchmarks.isprs import TRAIN, VAL, TileJob, clip, find_tiles
from mssdf.preparation.benchmarks.jobs import run_jobs
from mssdf.preparation.benchmarks.kept_settings import keep_settings

EPILOG = """\
expected layout (the unpacked archives; other files in the folders are an error only if two are of
one tile):
  potsdam    --images         top_potsdam_2_10_RGB.tif ...      (or _IRRG)
             --labels         top_potsdam_2_10_label.tif ...
             --eroded-labels  top_potsdam_2_10_label_noBoundary.tif ...
             --dsm            dsm_potsdam_02_10.tif ..., or normalized heights
  vaihingen  --images         top_mosaic_09cm_area1.tif ...
             --labels         top_mosaic_09cm_area1.tif ...     (colors)
             --eroded-labels  top_mosaic_09cm_area1_noBoundary.tif ...
             --dsm            dsm_09cm_matching_area1.tif ...

heights: a GeoTIFF is taken as meters. The normalized surface models that go with the sets as JPEG
hold gray values: give meters per gray value with --dsm-scale. Potsdam's come as _lastools and
_ownapproach: choose with --dsm-suffix _lastools.jpg. Segmentation takes either kind; height
estimation needs heights above ground.

writes, for the contest's training tiles (train) and the others (val):
  OUT/img_dir/{train,val}/2_10_0_0_512_512.png      left, top, right, bottom
  OUT/ann_dir/{train,val}/...                       0 not labeled, 1 to 6; full labels
  OUT/ann_dir/{train,val}_eroded/...                with --eroded-labels
  OUT/dsm_dir/{train,val}/...tif                    float32, nodata -9999; with --dsm
  OUT/prepare_isprs.json                            the settings; others need another folder

example:
  python tools/dataset_tools/prepare_isprs.py potsdam --images 2_Ortho_RGB --labels Labels \\
      --eroded-labels Labels_noBoundary --dsm 1_DSM --out data/potsdam
"""


def main(arguments: list[str] | None = None) -> int:
    """Clip what is missing; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('dataset', choices=sorted(TRAIN), help='name of the data set')
    parser.add_argument('--images', type=Path, required=True, help='folder of the images')
    parser.add_argument('--labels', type=Path, required=True, help='folder of the labels in colors')
    parser.add_argument(
        '--eroded-labels', type=Path, help='folder of the labels without borders of objects'
    )
    parser.add_argument('--dsm', type=Path, help='folder of the heights')
    parser.add_argument('--dsm-suffix', default='', help="ending of the heights' names")
    parser.add_argument(
        '--dsm-scale', type=float, default=1.0, help='meters per unit of the heights (default: 1)'
    )

    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--size', type=int, default=512, help='side of a clip in pixels (default: 512)'
    )
    parser.add_argument(
        '--stride', type=int, help='distance between clips in pixels (default: their size)'
    )
    parser.add_argument(
        '--tolerance',
        type=int,
        default=0,
        help='largest difference from a label color (default: 0)',
    )
    parser.add_argument(
        '--workers', type=int, default=2, help='number of processes; 0 uses this one'
    )
    args = parser.parse_args(arguments)

    try:
        jobs = make_jobs(args)
        made = args.out.glob('img_dir/*/*.png')
        keep_settings(args.out / 'prepare_isprs.json', settings(args), made)
        counts = run_jobs(clip, jobs, args.workers, 'tiles')
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    for split in ('train', 'val'):
        tiles = sum(job.split == split for job in jobs)
        clips = len(list((args.out / f'img_dir/{split}').glob('*.png')))
        print(f'{split:>6}: {tiles} tiles, {clips} clips')
    print(', '.join(f'{count} tiles {word}' for word, count in sorted(counts.items())))
    return 0


def settings(args: argparse.Namespace) -> dict[str, str | int | float | None]:
    """Collect the settings that affect the clips."""
    return dict(
        dataset=args.dataset,
        size=args.size,
        stride=args.stride or args.size,
        images=args.images.name,
        labels=args.labels.name,
        eroded_labels=args.eroded_labels.name if args.eroded_labels else None,
        dsm=args.dsm.name if args.dsm else None,
        dsm_suffix=args.dsm_suffix if args.dsm else None,
        dsm_scale=args.dsm_scale if args.dsm else None,
    )


def make_jobs(args: argparse.Namespace) -> list[TileJob]:
    """Make one job for each tile that has an image.

    Raises:
        FileNotFoundError: if a tile lacks labels or heights, or a folder is empty.
        ValueError: if a tile is in neither of the splits, or has two files.
    """
    images = find_tiles(args.images, args.dataset)

    others = {
        key: find_tiles(folder, args.dataset, suffix)
        for key, folder, suffix in (
            ('labels', args.labels, ''),
            ('eroded', args.eroded_labels, ''),
            ('heights', args.dsm, args.dsm_suffix),
        )
        if folder is not None
    }

    jobs = []
    for name, image in images.items():
        if name not in TRAIN[args.dataset] + VAL[args.dataset]:
            raise ValueError(
                f'{image}: expected a tile of the splits of {args.dataset}, found {name}'
            )
        split = 'train' if name in TRAIN[args.dataset] else 'val'
        for key, files in others.items():
            if name not in files:
                raise MissingFileError(image, f'{key} of tile {name}')

        jobs.append(
            TileJob(
                name,
                split,
                image,
                others['labels'][name],
                others['eroded'][name] if 'eroded' in others else None,
                others['heights'][name] if 'heights' in others else None,
                args.out,
                args.size,
                args.stride or args.size,
                args.tolerance,
                args.dsm_scale,
            )
        )

    return jobs


if __name__ == '__main__':
    sys.exit(main())
