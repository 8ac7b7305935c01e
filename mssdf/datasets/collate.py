"""Samples to a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.data import default_collate

from mssdf.registry import FUNCTIONS


@FUNCTIONS.register_module()
def multimodal_collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Stack samples of :class:`~mssdf.datasets.PackMultiModalInputs`, modality by modality.

    Args:
        samples: B samples, all with the same modalities.

    Returns:
        ``inputs``: name to (B, C, H, W); ``valid``: name to (B, 1, H, W) bool;
        ``data_samples``: a list of B.

    Raises:
        ValueError: when samples differ in modalities, or in the size or type of one.
    """
    first = samples[0]
    for sample in samples:
        for modality, image in first['inputs'].items():
            other = sample['inputs'].get(modality)
            if other is None or other.shape != image.shape or other.dtype != image.dtype:
                found = 'none' if other is None else f'{tuple(other.shape)} {other.dtype}'
                raise ValueError(
                    f'{sample["data_samples"].metainfo.get("files")}: expected modality '
                    f'{modality!r} as {tuple(image.shape)} {image.dtype}, as in '
                    f'{first["data_samples"].metainfo.get("files")}, found {found}'
                )
    # default_collate writes straight into shared memory when it runs in a worker.
    return dict(
        inputs={m: default_collate([s['inputs'][m] for s in samples]) for m in first['inputs']},
        valid={m: default_collate([s['valid'][m] for s in samples]) for m in first['valid']},
        data_samples=[sample['data_samples'] for sample in samples],
    )
