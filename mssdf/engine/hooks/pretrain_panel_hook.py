"""Pictures of pre-training at intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from PIL import Image
from torch import Tensor

from mssdf.datasets.sample_index import SampleIndex
from mssdf.distributed import unwrap
from mssdf.errors import ConfigError
from mssdf.registry import HOOKS
from mssdf.utils.randomness import preserved_rng
from mssdf.visualization import PanelData, draw_pretrain_panel, figure_to_array

from .periodic_hook import PeriodicHook


def to_array(value: Any) -> Any:
    """Convert the tensors of a nested dictionary to NumPy arrays."""
    if isinstance(value, dict):
        return {key: to_array(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return value.float().numpy() if value.is_floating_point() else value.numpy()
    return value


@torch.no_grad()
def inspect_in_eval(model: Any, collated: dict) -> tuple[Any, dict]:
    """Preprocess a batch and inspect it in eval mode; then restore every module's mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        batch = model.data_preprocessor(collated)['inputs']  # in eval mode: with the score
        return batch, model.inspect(batch)
    finally:
        for module, mode in modes.items():
            module.training = mode


def panel_data(model: Any, collated: dict) -> PanelData:
    """Collect the content of :func:`~mssdf.visualization.draw_pretrain_panel` from a batch.

    Args:
        model: pre-training model with a data preprocessor.
        collated: batch as the loader collates it.
    """
    batch, inspected = inspect_in_eval(model, collated)

    preprocessor = model.data_preprocessor
    images, units, reconstructed = {}, {}, {}
    for name, image in inspected['images'].items():
        mean, std = getattr(preprocessor, f'mean_{name}'), getattr(preprocessor, f'std_{name}')
        images[name] = to_array(image.float() * std + mean)
        if inspected['reconstructed'] is not None:
            reconstructed[name] = to_array(inspected['reconstructed'][name] * std + mean)
        if preprocessor.modalities[name].get('relative_to_median'):
            units[name] = 'm, relative'

    return PanelData(
        images=images,
        pixel_valid=to_array(batch.pixel_valid),
        patch_valid=to_array(inspected['patch_valid']),
        masks=to_array(inspected['masks']),
        score=to_array(inspected['score']),
        grid=inspected['grid'],
        predicted=to_array(inspected['predicted']),
        targets=to_array(inspected['targets']),
        features=to_array(inspected['features']),
        reconstructed=reconstructed or None,
        units=units,
        names=[str(sample.get('scene', '')) for sample in collated.get('data_samples') or []],
    )


@HOOKS.register_module()
class PretrainPanelHook(PeriodicHook):
    """A hook that draws a few fixed windows to ``panels/iter_*.png``.

    The picture shows scores, masks and features. Windows and masks are the same in every picture,
    and random states are left as they were. The picture goes to the visualizer too. A model without
    ``inspect`` (a baseline) gets no picture.

    Args:
        interval: number of iterations or epochs between pictures; one more is drawn at the end.
        by_epoch: whether the interval counts epochs; else it counts iterations.
        indices: indices of samples in the training dataset; None takes ``num_windows`` of them,
            evenly spread.
        num_windows: number of windows in the picture.
        seed: seed of the masks.
        dpi: resolution of the picture, in dots per inch.
    """

    def __init__(
        self,
        interval: int = 500,
        by_epoch: bool = False,
        indices: Sequence[int] | None = None,
        num_windows: int = 3,
        seed: int = 0,
        dpi: int = 110,
    ) -> None:
        super().__init__(interval, by_epoch)
        if num_windows < 1:
            raise ConfigError('PretrainPanelHook.num_windows', 'at least 1', num_windows)
        self.indices = indices
        self.num_windows = num_windows
        self.seed = seed
        self.dpi = dpi
        self._collated: dict | None = None
        self._loss: Tensor | None = None
        self._draws = True

    def before_train(self, runner: Runner) -> None:
        """Check that the model and the dataset have something to draw."""
        self._draws = hasattr(unwrap(runner.model), 'inspect')
        if not self._draws:
            runner.logger.info(
                f'PretrainPanelHook: {type(unwrap(runner.model)).__name__} has no inspect(), '
                'no pictures will be drawn.'
            )
        length = len(runner.train_dataloader.dataset)
        outside = [index for index in self.indices or () if not 0 <= index < length]
        if outside:
            raise ConfigError('PretrainPanelHook.indices', f'0...{length - 1}', outside)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the loss for the picture's title; draw at intervals."""
        if outputs and 'loss' in outputs:
            self._loss = outputs['loss'].detach()  # read only when drawn, as it may be on a GPU
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def act(self, runner: Runner, iteration: int) -> None:
        """Draw the picture."""
        if not self._draws:
            return
        with preserved_rng(self.seed):
            data = panel_data(unwrap(runner.model), self._windows(runner))
        loss = '' if self._loss is None else f'  ·  loss {self._loss.item():.4g}'
        name = runner.experiment_name.removesuffix(f'_{runner.timestamp}')
        figure = draw_pretrain_panel(data, f'{name}  ·  iteration {iteration:,}{loss}')
        path = Path(runner.work_dir) / 'panels' / f'iter_{iteration:06d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = figure_to_array(figure, self.dpi)
        Image.fromarray(picture).save(path)
        runner.visualizer.add_image('pretraining', picture, iteration)
        runner.logger.info(f'Picture of {len(data.score)} windows: {path}')

    def _windows(self, runner: Runner) -> dict:
        """Read and collate the windows once."""
        if self._collated is None:
            loader = runner.train_dataloader
            length = len(loader.dataset)
            indices = self.indices
            if indices is None:
                count = min(self.num_windows, length)
                indices = np.linspace(0, length - 1, count + 2).round().astype(int)[1:-1].tolist()
            samples = [loader.dataset[SampleIndex(int(index), 0)] for index in indices]
            self._collated = loader.collate_fn(samples)
        return self._collated
