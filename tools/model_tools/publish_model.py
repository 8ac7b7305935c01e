"""Prepare a checkpoint of training for others: the weights that they use, and a hash.

Keeps the backbone, the other modalities' patch embeddings, the normalization of the input, and the
part of the config that builds the model. Leaves out the optimizer, the schedules, the log, the
teacher and, by default, the decoders and heads. The result loads with
torch.load(FILE, weights_only=True).

Example:
  python tools/model_tools/publish_model.py work_dirs/RUN/epoch_500.pth mssdf_vit-b-p16.pth
writes mssdf_vit-b-p16-1a2b3c4d.pth, the digits being the beginning of the file's SHA-256.
"""

import argparse
import sys
from pathlib import Path

from mssdf.checkpoints import CheckpointError, publish, read_checkpoint
from mssdf.checkpoints.saving import save, summarize


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', metavar='IN', help='checkpoint of a training run')
    parser.add_argument('dst', metavar='OUT', help='file to write; the hash goes before .pth')
    parser.add_argument(
        '--keep-decoders', action='store_true', help='keep decoders and heads too (no teacher)'
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Publish, and report what was written and left out; return 2 for a wrong input."""
    args = parse_args(arguments)
    try:
        content, left_out = publish(read_checkpoint(args.src), args.src, args.keep_decoders)
        path = save(content, args.dst, hashed=True)
    except (CheckpointError, OSError) as error:
        print(f'{Path(__file__).name}: {error}', file=sys.stderr)
        return 2
    size = path.stat().st_size / 2**20
    print(f'{path}: {len(content["state_dict"])} tensors, {size:.1f} MiB')
    if left_out:
        print(f'  left out: {summarize(left_out)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
