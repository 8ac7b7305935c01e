"""Convert a sharded checkpoint of training (a folder) into a full one (a file), or back.

Both hold the same: weights, optimizer, schedules, position, log. Training resumes from either on
any number of ranks; publish_model.py and the downstream configs take either. No code in a
checkpoint is run.

Examples:
  python tools/model_tools/convert_sharded.py work_dirs/RUN/epoch_10.pth full.pth
  python tools/model_tools/convert_sharded.py full.pth sharded.pth
"""

import argparse
import sys
from pathlib import Path

import torch

from mssdf.checkpoints import CheckpointError
from mssdf.checkpoints.sharded_checkpoint import (
    is_sharded_checkpoint,
    split_checkpoint,
    write_rest,
    write_tensors,
)
from mssdf.checkpoints.training_state import read_training_state
from mssdf.utils.atomic_file import partial_file, partial_folder


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', metavar='IN', help='checkpoint of a training run, file or folder')
    parser.add_argument('dst', metavar='OUT', help='path of the other kind of checkpoint')
    return parser.parse_args(arguments)


def convert(src: str, dst: str) -> str:
    """Write the other kind of checkpoint; return its description.

    Raises:
        CheckpointError: if ``src`` is not a complete checkpoint, or ``dst`` exists already.
    """
    if Path(dst).exists():
        raise CheckpointError(dst, 'expected a new path, found something there')
    content = read_training_state(src)
    if not isinstance(content.get('state_dict'), dict):
        raise CheckpointError(
            src, f'expected a checkpoint of training with a state_dict, found {list(content)[:5]}'
        )
    if is_sharded_checkpoint(src):
        with partial_file(dst) as path:
            torch.save(content, path)
        return 'a full checkpoint'
    tensors, rest = split_checkpoint(content)
    with partial_folder(dst) as folder:
        write_tensors(tensors, folder)
        write_rest(rest, list(tensors), folder)
    return 'a sharded checkpoint, in one shard'


def main(arguments: list[str] | None = None) -> int:
    """Convert, and report what was written; return 2 for a wrong input."""
    args = parse_args(arguments)
    try:
        kind = convert(args.src, args.dst)
    except (CheckpointError, OSError) as error:
        print(f'{Path(__file__).name}: {error}', file=sys.stderr)
        return 2
    print(f'{args.dst}: {kind}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
