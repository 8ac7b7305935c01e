"""Validity and normalization of multi-modal windows (method.md, section 1)."""

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mssdf.errors import ConfigError, MissingFileError, UnknownKeyError, Words, one_line
from mssdf.registry import MODELS
from mssdf.utils.limits import LARGEST_DEVIATION, LARGEST_VALUE
from mssdf.utils.modality_keys import READING, VALUES, without


def relative_to_median(image: Tensor, valid: Tensor) -> Tensor:
    """Subtract from each window the median of its valid pixels (the lower one of two).

    Args:
        image: (B, C, H, W) values.
        valid: (B, 1, H, W) bool, false at nodata.

    Returns:
        (B, C, H, W), unchanged where a window has no valid pixel.
    """
    median = image.masked_fill(~valid, torch.nan).flatten(1).nanmedian(dim=1).values
    return image - torch.nan_to_num(median)[:, None, None, None]


def read_statistics(path: str) -> dict:
    """Read the JSON file that ``compute_statistics.py`` writes.

    Args:
        path: path of the file.

    Raises:
        FileNotFoundError: if it cannot be read.
        ValueError: if it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except OSError as error:
        raise MissingFileError(
            'statistics', 'a JSON file that can be read', Words(f'{path}: {one_line(error)}')
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError('statistics', 'a JSON file', Words(f'{path}: {error}')) from None


@MODELS.register_module()
class MultiModalDataPreprocessor(BaseDataPreprocessor):
    """A preprocessor that moves a batch to the device, finds its valid pixels and normalizes it.

    Args:
        modalities: settings of each modality, in the order that the model keeps:

            - **mean**, **std**: one number per band. For a modality relative to its median,
              ``mean`` is usually 0 and ``std`` a fixed scale in meters.
            - **relative_to_median**: whether to subtract the window's median first (a DSM).

        statistics: path of a JSON file of ``compute_statistics.py``, for every ``mean`` and ``std``
            that is not given.
        non_blocking: whether to copy to the device without waiting.

    Raises:
        ValueError: if a modality has no statistics or their lengths differ.
    """

    def __init__(
        self,
        modalities: dict[str, dict],
        statistics: str | None = None,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if not modalities:
            raise ConfigError('modalities', 'at least one')
        known = read_statistics(statistics) if statistics else {}
        self.modalities: dict[str, dict] = {}
        for name, settings in modalities.items():
            # known settings alone, so that a misspelled one is told
            settings = without(READING, settings)
            unknown = sorted(settings.keys() - VALUES)
            if unknown:
                raise ConfigError(f'modalities.{name}', f'settings among {sorted(VALUES)}', unknown)

            # statistics are the config's own, else those of the file
            measured = known.get(name, {})
            if settings.get('relative_to_median'):
                measured = measured.get('relative', measured)
            for key in ('mean', 'std'):
                settings.setdefault(key, measured.get(key))
                if settings[key] is None:
                    raise ConfigError(
                        f'modalities.{name}.{key}',
                        'one number per band',
                        Words('none (measure it with tools/dataset_tools/compute_statistics.py)'),
                    )

            mean, std = list(settings['mean']), list(settings['std'])
            if not mean or len(mean) != len(std) or min(std) <= 0:
                raise ConfigError(
                    f'modalities.{name}',
                    'as many positive std as mean, one per band',
                    Words(f'mean={mean} and std={std}'),
                )

            for key, values in (('mean', mean), ('std', std)):
                buffer = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
                self.register_buffer(f'{key}_{name}', buffer)
            self.modalities[name] = settings

    @property
    def channels(self) -> dict[str, int]:
        """Number of bands of each modality."""
        return {name: len(settings['mean']) for name, settings in self.modalities.items()}

    def _check(self, data: dict) -> None:
        for name, bands in self.channels.items():
            if name not in data['inputs']:
                raise UnknownKeyError(
                    'inputs',
                    f'the modality {name!r} of the data preprocessor',
                    sorted(data['inputs']),
                )
            found = data['inputs'][name].shape[1]
            if found != bands:
                raise ValueError(
                    f'modality {name!r}: expected {bands} bands (one mean each), found {found}'
                )

    def normalize(self, name: str, image: Tensor, valid: Tensor) -> Tensor:
        """Normalize one modality.

        Values further than ``LARGEST_DEVIATION`` deviations from the mean are clipped to that.

        Args:
            name: name of the modality.
            image: (B, C, H, W) values in the files' unit.
            valid: (B, 1, H, W) bool, false at nodata.

        Returns:
            (B, C, H, W) float32, 0 where invalid.
        """
        image = image.float()
        if self.modalities[name].get('relative_to_median'):
            image = relative_to_median(image, valid)
        image = (image - getattr(self, f'mean_{name}')) / getattr(self, f'std_{name}')
        image = image.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)
        return image.masked_fill(~valid, 0.0)

    def prepare(self, data: dict) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Take values and validity of a batch, on the device where it lies.

        Args:
            data: collated batch, see :meth:`forward`.

        Returns:
            (B, C_m, H, W) values and (B, 1, H, W) validity of each modality. NaN, infinities and
            what is beyond ``LARGEST_VALUE`` are invalid and zero.
        """
        self._check(data)
        images, valid = {}, {}
        for name in self.modalities:
            image, known = data['inputs'][name], data['valid'][name]
            if image.is_floating_point():
                finite = image.abs() <= LARGEST_VALUE  # false for NaN
                known = known & finite.all(dim=1, keepdim=True)
                image = torch.where(finite, image, 0.0)
            images[name], valid[name] = image, known
        return images, valid

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalize a collated batch.

        Args:
            data: ``inputs``, (B, C_m, H, W) of each modality by its name, ``valid``, (B, 1, H, W)
                bool of each, and ``data_samples``.
            training: without effect; MMEngine hands it to every data preprocessor.

        Returns:
            The same keys, with normalized ``inputs``.
        """
        images, valid = self.cast_data(list(self.prepare(data)))
        inputs = {name: self.normalize(name, images[name], valid[name]) for name in images}
        return dict(inputs=inputs, valid=valid, data_samples=data.get('data_samples'))


@MODELS.register_module()
class SingleModalityDataPreprocessor(MultiModalDataPreprocessor):
    """A preprocessor that hands one modality to an algorithm of mmpretrain (MAE and others).

    Args:
        modality: name of the modality to take.
        **kwargs: arguments of :class:`MultiModalDataPreprocessor`.
    """

    def __init__(self, modality: str = 'rgb', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if modality not in self.modalities:
            raise ConfigError('modality', f'one of {list(self.modalities)}', modality)
        self.modality = modality

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return ``inputs`` (B, C, H, W) of the modality and ``data_samples`` of a batch."""
        normalized = super().forward(data, training)
        return dict(
            inputs=normalized['inputs'][self.modality], data_samples=normalized['data_samples']
        )
