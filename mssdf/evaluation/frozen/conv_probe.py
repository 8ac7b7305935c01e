"""Convolutional probe on the grid of patch tokens, scored pixel by pixel."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mssdf.utils.randomness import preserved_rng

from .data import EvaluationData
from .dense_probes import dense_folds, mask_measures
from .measurement_settings import MeasurementSettings
from .probing import Probed
from .scores import confusion_sums, error_sums

WIDTH = 32
CELLS = 4  # number of predicted cells along the side of a patch
BATCH = 16
RATE = 3e-3
BOUND = 4.0  # standard deviations at which tokens are clipped
CHUNK = 64  # number of windows that are predicted at once


class ConvProbe(nn.Module):
    """A probe that reduces the tokens, mixes neighbors twice and predicts cells of each patch.

    Args:
        in_dims: width D of the tokens.
        out_dims: number of classes, or 1 for heights.
    """

    def __init__(self, in_dims: int, out_dims: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_dims, WIDTH, 1),
            nn.GELU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH, out_dims * CELLS**2, 3, padding=1),
            nn.PixelShuffle(CELLS),
        )

    def forward(self, grid: Tensor) -> Tensor:
        """Turn tokens (B, D, g, g) into predictions (B, out_dims, CELLS * g, CELLS * g)."""
        return self.layers(grid)


def probe_pixels(patches: Tensor, data: EvaluationData, settings: MeasurementSettings) -> Probed:
    """Predict each pixel of every window by a probe trained on the windows of other folds.

    Nothing is chosen by its result: steps, rate and width are the same for every encoder.

    Args:
        patches: patch tokens (N, G, D).
        data: windows with their targets.
        settings: settings with the number of folds, the steps and the seed.

    Returns:
        Sums over each window, with the number of folds and the patch size.
    """
    side = round(patches.shape[1] ** 0.5)
    grid = patches.transpose(1, 2).unflatten(2, (side, side))  # (N, D, g, g)

    heights = data.task == 'height'
    count = len(data.classes)
    target = _cells(data, side * CELLS).to(patches.device)
    told = (target.isfinite() if heights else target >= 0).flatten(1).any(dim=1)
    fold = dense_folds(data, settings, told)
    sums = np.zeros((len(data), 4 if heights else count**2))

    for number in range(int(fold.max()) + 1):
        train, query = (
            torch.from_numpy(mask) for mask in ((fold != number) & (fold >= 0), fold == number)
        )

        known, asked = grid[train.to(grid.device)], grid[query.to(grid.device)]
        truth = target[train.to(grid.device)]
        mean = known.mean(dim=(0, 2, 3), keepdim=True)
        spread = known.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-6)
        # Tokens of another place may lie far outside; clipping bounds the extrapolation.
        known, asked = (((x - mean) / spread).clamp(-BOUND, BOUND) for x in (known, asked))

        if heights:
            scale, low, high = _range_of(truth)
            outputs = _predict(_train(known, truth / scale, 1, settings), asked, data.size, True)
            outputs = (outputs * scale).clamp(low, high)
        else:
            outputs = _predict(_train(known, truth, count, settings), asked, data.size, False)
        sums[query.numpy()] = _sums(outputs, data, query.numpy(), count)

    return Probed(
        'conv',
        'patch',
        100.0,
        ['R2', 'RMSE'] if heights else mask_measures(count),
        sums,
        dict(folds=int(fold.max()) + 1, level='pixel', patch=data.size // side),
    )


def _cells(data: EvaluationData, side: int) -> Tensor:
    """Average heights per cell, NaN where unknown, or take the classes of the middle pixels."""
    if data.task == 'height':
        known = (data.target.isfinite() & data.seen[:, 0]).float()[:, None]
        filled = torch.where(known > 0, data.target[:, None].float(), 0.0)
        share = F.adaptive_avg_pool2d(known, side)
        means = F.adaptive_avg_pool2d(filled, side) / share.clamp(min=1e-6)
        return torch.where(share >= 0.5, means, torch.nan)[:, 0]
    labels = torch.where(data.seen[:, 0], data.target, -1)
    return F.interpolate(labels[:, None].double(), size=(side, side), mode='nearest-exact')[
        :, 0
    ].long()


def _range_of(target: Tensor) -> tuple[float, float, float]:
    """Return the deviation, the smallest and the largest of the known heights."""
    known = target[target.isfinite()]
    if len(known) < 2:
        return 1.0, -1e3, 1e3
    return float(known.std().clamp(min=1e-3)), float(known.min()), float(known.max())


def _train(grid: Tensor, target: Tensor, out_dims: int, settings: MeasurementSettings) -> ConvProbe:
    """Train a probe with a fixed number of steps."""
    with preserved_rng(settings.seed):
        probe = ConvProbe(grid.shape[1], out_dims).to(grid.device)

    draw = torch.Generator().manual_seed(settings.seed)
    steps = settings.conv_steps
    optimizer = torch.optim.AdamW(probe.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)

    for _ in range(steps):
        chosen = torch.randint(len(grid), (BATCH,), generator=draw).to(grid.device)
        outputs, truth = probe(grid[chosen]), target[chosen]
        if truth.is_floating_point():
            known = truth.isfinite()
            error = torch.where(known, outputs[:, 0] - torch.where(known, truth, 0.0), 0.0)
            loss = error.square().sum() / known.sum().clamp(min=1)
        else:
            total = F.cross_entropy(outputs, truth, ignore_index=-1, reduction='sum')
            loss = total / (truth >= 0).sum().clamp(min=1)

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe.eval()


@torch.no_grad()
def _predict(probe: ConvProbe, grid: Tensor, size: int, heights: bool) -> Tensor:
    """Predict heights or classes (n, size, size)."""
    found = []
    for part in grid.split(CHUNK):
        outputs = F.interpolate(probe(part), size=(size, size), mode='bilinear')
        found.append((outputs[:, 0] if heights else outputs.argmax(dim=1)).cpu())
    return torch.cat(found)


def _sums(
    outputs: Tensor, data: EvaluationData, query: NDArray[np.bool_], num_classes: int
) -> NDArray[np.float64]:
    """Sum up the errors or the confusion matrix of each window."""
    truth, seen = data.target[query].flatten(1), data.seen[query].flatten(1)
    guess = outputs.flatten(1).numpy()
    if data.task == 'height':
        known = (truth.isfinite() & seen).numpy()
        return error_sums(truth.numpy(), guess, known)
    return confusion_sums(torch.where(seen, truth, -1).numpy(), guess, num_classes)
