"""Convert a ViT of the paper, of MAE, DINOv2 or timm to a backbone of ours.

The result has the keys of mmpretrain's VisionTransformer behind 'backbone.' and is loaded by
  init_cfg=dict(type='mssdf.StrictPretrained', checkpoint=DST)

Every key is converted, or named as left out, or an error. The number of heads is not stored in
any of these files and cannot be checked: build the backbone with that of the source.

Examples:
  python tools/model_tools/convert_official.py checkpoint-499.pth mssdf_vit-b.pth --img-size 320
  python tools/model_tools/convert_official.py mae_pretrain_vit_base.pth mae_vit-b.pth
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mssdf.checkpoints import FORMATS, CheckpointError, convert, detect_format, read_state_dict
from mssdf.checkpoints.saving import save, summarize
from mssdf.errors import one_line
from mssdf.version import __version__


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('src', metavar='SRC', help='checkpoint to convert')
    parser.add_argument('dst', metavar='DST', help='file to write')
    parser.add_argument(
        '--format',
        choices=['auto', *FORMATS],
        default='auto',
        help='format of SRC (default: auto, detected by its keys)',
    )

    parser.add_argument(
        '--img-size',
        type=int,
        default=320,
        metavar='PIXELS',
        help="pre-training size of the paper's checkpoints, which do not store their positions; "
        'others ignore it (default: 320)',
    )

    parser.add_argument(
        '--grid',
        type=int,
        nargs=2,
        metavar=('ROWS', 'COLUMNS'),
        help='rows and columns of patches in SRC if they are not a square; stored in DST',
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Convert, and report on the keys; return 2 for a wrong input."""
    args = parse_args(arguments)

    try:
        if Path(args.dst).resolve() == Path(args.src).resolve():
            raise ValueError('DST: expected another file than SRC, found the same')
        if args.grid and min(args.grid) < 1:
            raise ValueError(f'--grid: expected numbers of 1 or more, found {args.grid}')

        grid = (args.grid[0], args.grid[1]) if args.grid else None
        weights = read_state_dict(args.src)

        try:
            source = detect_format(weights) if args.format == 'auto' else args.format
            converted = convert(weights, source, args.img_size, grid)
        except (KeyError, ValueError) as error:
            raise ValueError(f'{args.src}: {one_line(error)}') from None

        meta: dict[str, Any] = dict(source=source, mssdf_version=__version__)
        if grid is not None:
            meta['grid'] = list(grid)
        path = save(dict(meta=meta, state_dict=converted.state_dict), args.dst)
    except (CheckpointError, ValueError, OSError) as error:
        print(f'{Path(__file__).name}: {error}', file=sys.stderr)
        return 2

    shape = tuple(converted.state_dict['backbone.patch_embed.projection.weight'].shape)
    print(f'{path}: {len(converted.state_dict)} tensors from {source}, patch embedding {shape}')
    for note in converted.notes:
        print(f'  {note}')
    if converted.dropped:
        print(f'  left out: {summarize(converted.dropped)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
