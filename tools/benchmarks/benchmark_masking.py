"""Measure the milliseconds per window pair for the score and the masks of the data preprocessor.

It uses one core and takes the fastest of several rounds, which reduces the effect of other load.
"""

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mssdf.models.masking import (
    information_score,
    mask_across_modalities,
    sample_masks,
    scale_intensity,
    valid_patches,
)

PATCH_SIZE = 16
MIN_SPAN = 5.0  # smallest span of the DSM in meters


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', type=int, default=320, help='side of a window in pixels')
    parser.add_argument(
        '--batch-size', type=int, default=1, help='number of window pairs in a batch'
    )
    parser.add_argument('--rounds', type=int, default=200, help='number of rounds')
    parser.add_argument('--threads', type=int, default=1, help='number of CPU threads')
    parser.add_argument('--device', default='cpu', help='device of the measurement')
    return parser.parse_args()


def mask_pair(rgb: Tensor, dsm: Tensor, dsm_valid: Tensor | None) -> Tensor:
    """Do sections 2 and 3 of method.md for a batch of pairs."""
    rows, cols = (side // PATCH_SIZE for side in rgb.shape[-2:])
    count = rows * cols
    usable = None if dsm_valid is None else valid_patches(dsm_valid, PATCH_SIZE)
    score = information_score(scale_intensity(rgb), PATCH_SIZE)
    score = score + information_score(
        scale_intensity(dsm, dsm_valid, MIN_SPAN), PATCH_SIZE, dsm_valid
    )
    masks = [sample_masks(score, int(0.75 * count), valid=known) for known in (None, usable)]
    target = torch.ones(len(rgb), dtype=torch.long, device=rgb.device)
    return mask_across_modalities(torch.stack(masks), target, 0.4)


def best_seconds(function: Callable[[], object], rounds: int, device: str) -> float:
    """Return the seconds of the fastest round after a warm-up."""
    best = float('inf')
    for index in range(rounds + 5):
        if device != 'cpu':
            torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        if device != 'cpu':
            torch.cuda.synchronize()
        if index >= 5:
            best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Measure and print."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    print(
        f'{platform.processor() or platform.machine()}, torch {torch.__version__}, '
        f'{args.device}, {args.threads} thread(s); {args.batch_size} pair(s) of {args.size} px, '
        'RGB uint8 + DSM float32'
    )
    shape = (args.batch_size, 1, args.size, args.size)
    rgb = torch.randint(0, 256, (shape[0], 3, *shape[2:]), dtype=torch.uint8).to(args.device)
    dsm = (torch.rand(shape) * 40).to(args.device)
    holes = (torch.rand(shape) > 0.02).to(args.device)
    for name, valid in (('no nodata', None), ('2 % nodata in the DSM', holes)):
        seconds = best_seconds(partial(mask_pair, rgb, dsm, valid), args.rounds, args.device)
        print(f'{name}: {1e3 * seconds / args.batch_size:.2f} ms per pair')


if __name__ == '__main__':
    main()
