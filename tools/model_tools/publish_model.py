"""Make a checkpoint of training ready to hand out: the weights that others use, and a hash.

Takes out the optimiser, the schedulers, the log buffers, the teacher and, unless told otherwise,
everything but the backbone. The result loads with ``torch.load(..., weights_only=True)``.

Example:
  python tools/model_tools/publish_model.py work_dirs/RUN/epoch_500.pth mssdf_vit-b-p16.pth
"""

import argparse
import sys

from mssdf.utils import CheckpointError, read_checkpoint
from mssdf.utils.saving import save_published

META = ('cfg', 'epoch', 'iter', 'experiment_name', 'time', 'mmengine_version', 'dataset_meta')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='file of a training run')
    parser.add_argument('output', help='file to write; its hash is put before the suffix')
    parser.add_argument(
        '--keep-decoders',
        action='store_true',
        help="keep the other modalities' patch embeddings, decoders and heads too",
    )
    return parser.parse_args()


def publish(content: dict, keep_decoders: bool = False) -> dict:
    """Reduce the content of a checkpoint.

    Args:
        content: of ``mssdf.utils.read_checkpoint``.
        keep_decoders: keep all of the student, not its backbone alone.

    Raises:
        CheckpointError: if there is no backbone in it.
    """
    weights = content.get('state_dict', content)
    kept = {
        name: value.detach().cpu().clone()
        for name, value in weights.items()
        if name.startswith('backbone.') or (keep_decoders and not name.startswith('teacher.'))
    }
    if not any(name.startswith('backbone.') for name in kept):
        raise CheckpointError(f'no key starts with backbone., found {list(weights)[:5]}')
    # how to normalise its input belongs to a backbone
    kept |= {
        name: value.clone()
        for name, value in weights.items()
        if name.startswith('data_preprocessor.')
    }
    meta = content.get('meta') or {}
    return dict(meta={key: meta[key] for key in META if key in meta}, state_dict=kept)


def main() -> int:
    """Publish, and say what was written."""
    args = parse_args()
    try:
        published = publish(read_checkpoint(args.checkpoint), args.keep_decoders)
    except CheckpointError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    path = save_published(published, args.output)
    size = path.stat().st_size / 2**20
    print(f'{path}: {len(published["state_dict"])} tensors, {size:.1f} MiB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
