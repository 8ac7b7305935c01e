"""kNN accuracy of the frozen encoder during pre-training."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process, master_only
from mmengine.runner import Runner
from torch import Tensor, nn

from mssdf.distributed import unwrap
from mssdf.engine.interruption import unless_stopped
from mssdf.errors import ConfigError, Words
from mssdf.evaluation import (
    LabeledImages,
    evaluate_knn,
    gain_interval,
    load_labeled_images,
    read_split,
    stratified_folds,
    stratified_split,
)
from mssdf.evaluation.frozen_encoder import extract_features, plain_vit
from mssdf.registry import HOOKS
from mssdf.utils.fingerprints import digest_of
from mssdf.utils.randomness import preserved_rng

from ..phases import EVALUATION, activity
from .periodic_hook import PeriodicHook


def normalization(preprocessor: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of RGB from a data preprocessor's buffers.

    Raises:
        ValueError: if the data preprocessor has none.
    """
    for mean, std in (('mean_rgb', 'std_rgb'), ('mean', 'std')):
        if hasattr(preprocessor, mean) and hasattr(preprocessor, std):
            return getattr(preprocessor, mean), getattr(preprocessor, std)
    raise ConfigError(
        'KNNHook', f'mean and std, as {type(preprocessor).__name__} has no modality "rgb"'
    )


@HOOKS.register_module()
class KNNHook(PeriodicHook):
    """A hook that classifies a folder of labeled images by the frozen encoder's features.

    It does so at intervals and at the end. The encoder is rebuilt as mmpretrain's plain ViT and
    loaded strictly, so the score is that of the encoder a user gets. Logged as ``knn/accuracy``,
    ``knn/effective_rank`` and ``knn/feature_std``; where iteration 0 was evaluated in the same way,
    also ``knn/gain`` over it and ``knn/gain_low`` and ``knn/gain_high``, the paired 95 % bootstrap
    interval over the images. Neither the model nor any random state changes.

    Args:
        images: folder of images, ``CLASS/*.{jpg,png,tif}``.
        interval: number of epochs or iterations between evaluations.
        by_epoch: whether the interval counts epochs; else it counts iterations.
        before_train: whether the encoder is evaluated at iteration 0 too, untrained unless the
            config starts it from a checkpoint.
        img_size: side in pixels to which images are resized; None takes the backbone's.
        k: number of neighbors.
        metric: name of the distance in scikit-learn.
        weights: weights of the votes, ``'uniform'`` or ``'distance'``.
        pool: pooling of the features, ``'mean'`` over the patch tokens or ``'cls'``.
        folds: number of parts, each of which is classified by the others, so that every image is a
            query once; None classifies one part.
        query_share: share of each class that makes up this one part.
        seed: seed of the split.
        split_file: JSON file with ``bank`` and ``query`` (paths below ``images``) that replaces the
            random split.
        mean: mean of each band in the images' unit; None takes the model's mean of RGB.
        std: standard deviation of each band in the images' unit.
        batch_size: number of images per forward pass.
        prefix: first part of the logged names, different for each hook.

    Raises:
        ValueError: if a setting is out of range; before training, if the images do not allow it.
    """

    def __init__(
        self,
        images: str,
        interval: int = 1,
        by_epoch: bool = True,
        before_train: bool = True,
        img_size: int | None = None,
        k: int = 20,
        metric: str = 'cosine',
        weights: str = 'uniform',
        pool: str = 'mean',
        folds: int | None = None,
        query_share: float = 0.3,
        seed: int = 0,
        split_file: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch_size: int = 64,
        prefix: str = 'knn',
    ) -> None:
        super().__init__(interval, by_epoch)

        for name, value, least in (('k', k, 1), ('folds', folds, 2), ('batch_size', batch_size, 1)):
            if value is not None and (not isinstance(value, int) or value < least):
                raise ConfigError(f'KNNHook.{name}', f'an integer of at least {least}', value)

        if (mean is None) != (std is None):
            raise ConfigError('KNNHook', 'both mean and std or neither', Words('one'))
        if folds is not None and split_file is not None:
            raise ConfigError('KNNHook', 'folds or split_file', Words('both'))

        self.images = images
        self.evaluates_untrained = before_train
        self.img_size = img_size
        self.vote: dict[str, Any] = dict(k=k, metric=metric, weights=weights)
        self.pool = pool
        self.folds = folds
        self.query_share = query_share
        self.seed = seed
        self.split_file = split_file
        self.mean_std: Any = None if mean is None else (mean, std)
        self.batch_size = batch_size
        self.prefix = prefix
        self._data: LabeledImages | None = None
        self._splits: list[tuple[np.ndarray, np.ndarray]] = []

    def before_train(self, runner: Runner) -> None:
        """Read the images before training begins; evaluate at iteration 0.

        Raises:
            FileNotFoundError: if the folder does not exist.
            ValueError: if a class has too few images, or another hook has the same prefix.
        """
        twins = [hook for hook in runner.hooks if isinstance(hook, KNNHook)]
        if sum(hook.prefix == self.prefix for hook in twins) > 1:
            raise ConfigError(
                'KNNHook.prefix', 'another one for each hook', Words(f'{self.prefix!r} twice')
            )
        if not Path(self.images).is_dir():
            raise FileNotFoundError(
                f'KNNHook.images: expected a folder CLASS/*.jpg, found nothing at {self.images}'
            )
        if is_main_process():
            self._check_vote(unwrap(runner.model))
        if self.evaluates_untrained and runner.iter == 0:
            self.act(runner, 0)

    @master_only
    def act(self, runner: Runner, iteration: int) -> None:
        """Evaluate and log; abandon the evaluation if a stop is asked for."""
        with activity.within(EVALUATION):
            if not unless_stopped(lambda: self._evaluate(runner, iteration)):
                runner.logger.info('kNN is left out: a stop was asked for.')

    def _check_vote(self, model: Any) -> None:
        """Check that the bank has at least k images."""
        _, splits = self._load(self.img_size or model.backbone.img_size[0])
        smallest, k = min(len(bank) for bank, _ in splits), self.vote['k']
        if k > smallest:
            raise ConfigError('KNNHook.k', f'at most {smallest}, the images that vote', k)

    def _evaluate(self, runner: Runner, iteration: int) -> None:
        """Evaluate the encoder and log its scores."""
        start = time.perf_counter()
        model: Any = unwrap(runner.model)
        with preserved_rng():  # building an encoder draws its weights
            encoder = plain_vit(model.backbone, runner.cfg.model.backbone)
        size = self.img_size or encoder.img_size[0]
        data, splits = self._load(size)
        mean, std = self.mean_std or normalization(model.data_preprocessor)
        features = extract_features(encoder, data.images, mean, std, self.pool, self.batch_size)
        result = evaluate_knn(features, data.labels, splits, **self.vote)

        gained = self._gain(runner, iteration, result.correct, self._digest(size, mean, std))
        scalars = {
            'accuracy': result.accuracy,
            'effective_rank': result.effective_rank,
            'feature_std': result.feature_std,
            **gained,
        }
        scalars = {f'{self.prefix}/{name}': value for name, value in scalars.items()}
        for name, value in scalars.items():
            runner.message_hub.update_scalar(name, value)
        runner.visualizer.add_scalars(scalars, step=iteration)
        gain = ''
        if gained:
            gain = (
                f' ({gained["gain"]:+.4f} on iteration 0, 95 % interval '
                f'{gained["gain_low"]:+.4f} to {gained["gain_high"]:+.4f})'
            )
        runner.logger.info(
            f'kNN after {iteration} iterations: accuracy {result.accuracy:.4f}{gain} '
            f'({len(result.correct)} images of {len(data.classes)} classes by the '
            f'{self.vote["k"]} nearest of {len(splits[0][0])}), effective rank '
            f'{result.effective_rank:.1f}, feature std {result.feature_std:.3g}, '
            f'{time.perf_counter() - start:.1f} s'
        )

    def _digest(self, size: int, mean: Any, std: Any) -> str:
        """Hash all settings that determine the images and the vote."""
        assert self._data is not None
        data = (self._data.paths, self._data.labels.tolist(), size)
        splits = [query.tolist() for _, query in self._splits]
        colors = [np.ravel(values).tolist() for values in (mean, std)]
        return digest_of(data, splits, self.vote, self.pool, colors)

    def _gain(
        self, runner: Runner, iteration: int, correct: np.ndarray, digest: str
    ) -> dict[str, float]:
        """Compare with iteration 0; return nothing if it was not evaluated in the same way."""
        key = f'{self.prefix}_correct_at_start'
        if iteration == 0:
            # The message hub is saved in checkpoints, so a resumed run can compare too.
            start = dict(settings=digest, correct=correct.tolist())
            runner.message_hub.update_info(key, start)
            return {}
        start = runner.message_hub.runtime_info.get(key) or {}
        if start.get('settings') != digest:
            return {}
        reference = np.array(start['correct'], dtype=bool)
        low, high = gain_interval(correct, reference)
        gain = float(correct.mean() - reference.mean())
        return dict(gain=gain, gain_low=low, gain_high=high)

    def _load(self, size: int) -> tuple[LabeledImages, list[tuple[np.ndarray, np.ndarray]]]:
        """Read the images and draw the splits once."""
        if self._data is None:
            self._data = load_labeled_images(self.images, size)
            labels = self._data.labels
            if self.split_file:
                self._splits = [read_split(self.split_file, self._data.paths)]
            elif self.folds:
                smallest = int(np.bincount(labels).min())
                if self.folds > smallest:
                    raise ConfigError(
                        'KNNHook.folds',
                        f'at most {smallest}, the images of the smallest class',
                        self.folds,
                    )
                self._splits = list(stratified_folds(labels, self.folds, self.seed))
            else:
                self._splits = [stratified_split(labels, self.query_share, self.seed)]
        return self._data, self._splits
