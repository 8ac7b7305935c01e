"""Convert a ViT of the paper, of MAE or of timm to a backbone of ours.

The result has mmpretrain's keys behind 'backbone.' and drops in with
  init_cfg=dict(type='mssdf.StrictPretrained', checkpoint=OUTPUT)

Examples:
  python tools/model_tools/convert_official.py MSSDF_vit_base.pth mssdf_vit-b.pth --img-size 320
  python tools/model_tools/convert_official.py mae_pretrain_vit_base.pth mae_vit-b.pth
"""

import argparse
import sys

from mssdf.utils import FORMATS, CheckpointError, convert, detect_format, read_state_dict
from mssdf.utils.saving import save_published


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='file to convert')
    parser.add_argument('output', help='file to write; its hash is put before the suffix')
    parser.add_argument('--format', choices=['auto', *FORMATS], default='auto')
    parser.add_argument(
        '--img-size',
        type=int,
        default=320,
        help="pre-training size in pixels, for the paper's checkpoints (default: 320)",
    )
    return parser.parse_args()


def main() -> int:
    """Convert, and say what became of the keys."""
    args = parse_args()
    try:
        weights = read_state_dict(args.checkpoint)
        source = detect_format(weights) if args.format == 'auto' else args.format
        converted = convert(weights, source, args.img_size)
    except (CheckpointError, KeyError, ValueError) as error:
        message = error.args[0] if error.args else error
        print(f'error: {args.checkpoint}: {message}', file=sys.stderr)
        return 1
    path = save_published(
        dict(meta=dict(source=source), state_dict=converted.state_dict), args.output
    )
    print(f'{path}: {len(converted.state_dict)} tensors from {source}')
    for note in converted.notes:
        print(f'  {note}')
    if converted.dropped:
        print(f'  left out: {", ".join(sorted(converted.dropped))}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
