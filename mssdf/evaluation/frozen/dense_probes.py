"""Linear probes of patch tokens: ridge regression of heights, logistic regression of masks."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .data import EvaluationData
from .dense_targets import patch_classes, patch_heights
from .folds import group_folds
from .measurement_settings import MeasurementSettings
from .probing import Probed, Split, choose_penalties, fit_problems
from .ridge import fit_ridge
from .scores import confusion_sums, error_sums

INNER_FOLDS = 3


def mask_measures(num_classes: int) -> list[str]:
    """List the scores of masks; with two classes, the IoU of the second one too."""
    return ['mIoU', 'IoU'] if num_classes == 2 else ['mIoU']


def dense_folds(
    data: EvaluationData, settings: MeasurementSettings, told: Tensor
) -> NDArray[np.int64]:
    """Assign each window the number of the fold in which it is a query.

    Args:
        data: windows with their targets.
        settings: settings with the number of folds.
        told: (N,) bool, true where some of a window's target is known.

    Returns:
        Numbers (N,) of the folds; -1 for windows without a known target.

    Raises:
        ValueError: if a fold would have no known target to learn from.
    """
    groups = np.arange(len(data)) if data.groups is None else data.groups
    kept = told.cpu().numpy()
    fold = np.full(len(data), -1, np.int64)
    try:
        fold[kept] = group_folds(groups[kept], settings.dense_folds)
    except ValueError as error:
        raise ValueError(
            f'set {data.name!r}: fold 0 has nothing to learn from: {error}, in {kept.sum()} of '
            f'{len(data)} windows with known targets'
        ) from None
    return fold


def probe_patches(patches: Tensor, data: EvaluationData, settings: MeasurementSettings) -> Probed:
    """Predict each patch of every window by a probe fitted on the windows of other folds.

    Args:
        patches: patch tokens (N, G, D).
        data: windows with their targets.
        settings: settings with the number of folds and the penalties.

    Returns:
        Sums over each window, with the number of folds and the penalty.
    """
    patch = data.size // round(patches.shape[1] ** 0.5)
    if data.task == 'height':
        return _ridge(patches, data, settings, patch)
    return _logistic(patches, data, settings, patch)


def _ridge(
    patches: Tensor, data: EvaluationData, settings: MeasurementSettings, patch: int
) -> Probed:
    """Predict heights by ridge regression; the penalty is chosen on inner folds."""
    target, known = (x.to(patches.device) for x in patch_heights(data.target, data.seen, patch))
    fold = dense_folds(data, settings, known.any(dim=1))

    grid = torch.tensor(settings.ridge_penalties, device=patches.device)
    predicted = torch.zeros_like(target)
    chosen = []

    for number in range(fold.max() + 1):
        train, query = (fold != number) & (fold >= 0), fold == number
        errors = torch.zeros(len(grid), dtype=torch.float64, device=patches.device)
        for rows, held in _inner(train, data):
            guess = fit_ridge(*_known(patches, target, known, rows), grid)
            inputs, truth = _known(patches, target, known, held)
            errors += (guess.predict(inputs.double()) - truth).square().sum(dim=1)

        best = int(errors.argmin()) if errors.any() else len(grid) // 2
        chosen.append(float(grid[best]))

        model = fit_ridge(*_known(patches, target, known, np.flatnonzero(train)), grid[[best]])
        inputs = patches[torch.from_numpy(query).to(patches.device)]
        flat = model.predict(inputs.flatten(0, 1).double())[0]
        predicted[torch.from_numpy(query).to(patches.device)] = flat.view(inputs.shape[:2]).float()

    sums = error_sums(*(x.cpu().numpy() for x in (target, predicted, known)))
    details = _details(fold, chosen, patch)
    return Probed('linear', 'patch', 100.0, ['R2', 'RMSE'], sums, details)


def _logistic(
    patches: Tensor, data: EvaluationData, settings: MeasurementSettings, patch: int
) -> Probed:
    """Predict classes by logistic regression; the penalty is chosen on inner folds."""
    count = len(data.classes)
    target, known = (
        x.to(patches.device) for x in patch_classes(data.target, data.seen, patch, count)
    )
    fold = dense_folds(data, settings, known.any(dim=1))
    rows_of = np.arange(target.numel()).reshape(target.shape)
    keep = known.cpu().numpy()

    def patches_of(windows: NDArray) -> NDArray[np.int64]:
        return rows_of[windows][keep[windows]]

    features, labels = patches.flatten(0, 1), target.flatten()
    folds = range(int(fold.max()) + 1)
    splits: list[list[Split]] = [
        [
            (patches_of(rows), patches_of(held))
            for rows, held in _inner((fold != number) & (fold >= 0), data)
        ]
        for number in folds
    ]
    penalties = choose_penalties(
        features, labels, splits, settings.penalties, count, by_accuracy=False
    )
    training = [patches_of(np.flatnonzero((fold != number) & (fold >= 0))) for number in folds]
    fitted = fit_problems(features, labels, training, penalties, count)
    predicted = torch.zeros_like(target)
    for number, (models, place) in zip(folds, fitted, strict=True):
        query = torch.from_numpy(fold == number).to(patches.device)
        predicted[query] = models.logits(patches[query], place).argmax(dim=2)
    truth = torch.where(known, target, -1).cpu().numpy()
    sums = confusion_sums(truth, predicted.cpu().numpy(), count)
    details = _details(fold, penalties, patch)
    return Probed('linear', 'patch', 100.0, mask_measures(count), sums, details)


def _details(fold: NDArray, penalties: list[float], patch: int) -> dict[str, float | str]:
    return dict(
        folds=int(fold.max()) + 1, penalty=float(np.median(penalties)), level='patch', patch=patch
    )


def _inner(train: NDArray[np.bool_], data: EvaluationData) -> list[Split]:
    """Split the training windows again by groups; not at all if there is one group."""
    rows = np.flatnonzero(train)
    groups = rows if data.groups is None else data.groups[rows]
    if len(np.unique(groups)) < 2:
        return []
    inner = group_folds(groups, INNER_FOLDS)
    return [(rows[inner != number], rows[inner == number]) for number in range(inner.max() + 1)]


def _known(
    patches: Tensor, target: Tensor, known: Tensor, windows: NDArray
) -> tuple[Tensor, Tensor]:
    """Return tokens (n, D) and targets (n,) of the known patches of some windows."""
    index = torch.from_numpy(windows).to(patches.device)
    keep = known[index]
    return patches[index][keep], target[index][keep]
