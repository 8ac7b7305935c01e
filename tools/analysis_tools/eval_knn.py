"""kNN accuracy of a pre-trained encoder on a folder of labeled images.

Usage: ``python tools/analysis_tools/eval_knn.py CHECKPOINT --images ROOT [--untrained]``
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mssdf.checkpoints.strict_load import read_checkpoint
from mssdf.cli.building import WRONG_INPUT
from mssdf.errors import FileError, one_line
from mssdf.evaluation import (
    KNNResult,
    LabeledImages,
    bootstrap_interval,
    evaluate_knn,
    gain_interval,
    load_labeled_images,
    read_split,
    stratified_folds,
    stratified_split,
)
from mssdf.evaluation.checkpoint_encoder import (
    build_initialized,
    config_of,
    normalization_of,
)
from mssdf.evaluation.frozen_encoder import POOLS, extract_features, plain_vit


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('checkpoint', help='checkpoint of tools/train.py, or a published one')
    parser.add_argument('--images', required=True, help='folder of images, CLASS/*.{jpg,png,tif}')

    parser.add_argument(
        '--config', help='config of the model (default: the one stored in the checkpoint)'
    )
    parser.add_argument(
        '--untrained', action='store_true', help='evaluate the same encoder as initialized too'
    )

    parser.add_argument('--img-size', type=int, help="side in pixels (default: the encoder's)")
    parser.add_argument('--k', type=int, default=20, help='number of neighbors')
    parser.add_argument('--metric', default='cosine', help='distance, by its name in scikit-learn')
    parser.add_argument(
        '--weights', default='uniform', choices=('uniform', 'distance'), help='weights of the votes'
    )
    parser.add_argument('--pool', default='mean', choices=POOLS, help='pooling of the tokens')

    parser.add_argument(
        '--query-share', type=float, default=0.3, help='share of each class that becomes queries'
    )
    parser.add_argument(
        '--folds', type=int, help='cross-validate over all images instead of one split'
    )
    parser.add_argument('--split-file', help='JSON file with the lists "bank" and "query"')

    parser.add_argument('--seed', type=int, default=0, help='seed of the split')
    parser.add_argument(
        '--mean', type=float, nargs=3, help="mean of the bands (default: the model's)"
    )
    parser.add_argument(
        '--std', type=float, nargs=3, help="standard deviation of the bands (default: the model's)"
    )
    parser.add_argument(
        '--batch-size', type=int, default=64, help='number of images per forward pass'
    )
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='device of the encoder (default: the GPU if there is one)',
    )
    parser.add_argument('--json', help='file to which the scores are written too')

    return parser.parse_args(arguments)


def find_normalization(args: argparse.Namespace, state: dict[str, Any]) -> tuple[Any, Any]:
    """Return mean and standard deviation: given, or stored in the checkpoint.

    Raises:
        ValueError: if there is neither.
    """
    if args.mean and args.std:
        return args.mean, args.std
    stored = normalization_of(state)
    if stored is None:
        raise FileError(args.checkpoint, 'mean and std of RGB', note='give --mean and --std')
    return stored


def measure(
    backbone: Any,
    args: argparse.Namespace,
    data: LabeledImages,
    splits: list[tuple[np.ndarray, np.ndarray]],
    settings: dict,
    normalization: tuple[Any, Any],
) -> KNNResult:
    """Measure accuracy, rank and spread of a backbone's features."""
    encoder = plain_vit(backbone.to(args.device), settings)
    features = extract_features(
        encoder, data.images, *normalization, pool=args.pool, batch_size=args.batch_size
    )
    return evaluate_knn(features, data.labels, splits, args.k, args.metric, args.weights)


def make_splits(
    args: argparse.Namespace, data: LabeledImages
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the images into bank and queries."""
    if args.split_file:
        return [read_split(args.split_file, data.paths)]
    if args.folds:
        return stratified_folds(data.labels, args.folds, args.seed)
    return [stratified_split(data.labels, args.query_share, args.seed)]


def describe(result: KNNResult) -> dict[str, float]:
    """Collect the scores of a result, with the interval of its accuracy."""
    low, high = bootstrap_interval(result.correct)
    return dict(
        accuracy=result.accuracy,
        low=low,
        high=high,
        effective_rank=result.effective_rank,
        feature_std=result.feature_std,
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the accuracies; return 2 for a wrong input."""
    args = parse_args(arguments)

    try:
        checkpoint = read_checkpoint(args.checkpoint)
        config = config_of(checkpoint, args.checkpoint, args.config)
        state = checkpoint.get('state_dict', checkpoint)
        normalization = find_normalization(args, state)
        backbone: Any
        (backbone,) = build_initialized(config, config.model.backbone, path=args.checkpoint)
        data = load_labeled_images(args.images, args.img_size or backbone.img_size[0])
        splits = make_splits(args, data)

        settings = config.model.backbone
        results = {}
        if args.untrained:
            results['untrained'] = measure(backbone, args, data, splits, settings, normalization)
        backbone.load_state_dict(
            {
                key.removeprefix('backbone.'): value
                for key, value in state.items()
                if key.startswith('backbone.')
            }
        )

        results['trained'] = measure(backbone, args, data, splits, settings, normalization)
    except WRONG_INPUT as error:
        print(f'{Path(__file__).name}: {one_line(error)}', file=sys.stderr)
        return 2

    measured = {name: describe(result) for name, result in results.items()}
    queries, known = len(results['trained'].correct), len(splits[0][0])
    print(f'{queries} images of {len(data.classes)} classes by the {args.k} nearest of {known}')

    for name, row in measured.items():
        print(
            f'{name:<10} accuracy {row["accuracy"]:.4f} (95 % {row["low"]:.4f} to '
            f'{row["high"]:.4f})  effective rank {row["effective_rank"]:.1f}  '
            f'feature std {row["feature_std"]:.3g}'
        )

    if 'untrained' in results:
        pair = results['trained'].correct, results['untrained'].correct
        low, high = gain_interval(*pair)
        gain = results['trained'].accuracy - results['untrained'].accuracy
        measured['gain'] = dict(accuracy=gain, low=low, high=high)
        print(f'{"gain":<10} {gain:+.4f} (95 % {low:+.4f} to {high:+.4f}, paired)')

    if args.json:
        Path(args.json).write_text(json.dumps(measured, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
