"""Pipelines that hide nodata from a backbone that asks for it."""

from typing import Any

from mssdf.datasets.transforms import NormalizeBands


def lost_nodata(dataset: Any) -> str | None:
    """Say so if a pipeline turns nodata into zeros, which a backbone takes for values.

    Args:
        dataset: dataset of a backbone to which NaN is nodata.

    Returns:
        The warning; None if nodata stays what it is, or nothing is known of the pipeline.
    """
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    if any(isinstance(step, NormalizeBands) and not step.keep_nodata for step in transforms):
        return (
            'dataset.pipeline: expected NormalizeBands(keep_nodata=True), as model.backbone tells '
            'nodata (NaN) from values, found False: what an image lacks counts as zeros'
        )
    return None
