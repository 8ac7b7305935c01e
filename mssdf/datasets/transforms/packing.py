"""Arrays to tensors."""

from typing import Any

import numpy as np
import torch
from mmpretrain.structures import DataSample

from mssdf.registry import TRANSFORMS

from .base import Results, present


@TRANSFORMS.register_module()
class PackMultiModalInputs:
    """Make of a window what the collate function and the data preprocessor take.

    The result has ``inputs`` (name to (C, H, W), of the files' type, unsigned 16 bits as int32),
    ``valid`` (name to (1, H, W) bool) and ``data_samples`` with scene, window, files and the
    modalities present.
    """

    def __call__(self, results: Results) -> dict[str, Any]:
        """Pack."""
        inputs, valid = {}, {}
        for modality, image in results['images'].items():
            if image.dtype == np.uint16:  # hardly any operation of PyTorch takes it
                image = image.astype(np.int32)
            inputs[modality] = _tensor(image)
            valid[modality] = _tensor(results['valid'][modality][None])
        sample = DataSample()
        meta = dict(
            scene=results['scene'],
            window=tuple(results['window']),
            files=dict(results['files']),
            modalities=tuple(present(results)),
        )
        for key, value in meta.items():
            sample.set_field(value, key, field_type='metainfo')
        return dict(inputs=inputs, valid=valid, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _tensor(array: np.ndarray) -> torch.Tensor:
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
