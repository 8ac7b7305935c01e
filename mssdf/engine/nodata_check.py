"""Check for pipelines that hide nodata from a backbone that distinguishes it."""

from typing import Any

from mssdf.datasets.transforms import NormalizeBands


def lost_nodata(dataset: Any) -> str | None:
    """Warn of a pipeline that turns nodata into zeros, which a backbone takes for values.

    Args:
        dataset: dataset of a backbone that reads NaN as nodata.

    Returns:
        Warning; None if nodata stays NaN, or the pipeline is unknown.
    """
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    if any(isinstance(step, NormalizeBands) and not step.keep_nodata for step in transforms):
        return (
            'dataset.pipeline: expected NormalizeBands(keep_nodata=True), as model.backbone tells '
            'nodata (NaN) from values, found False: what an image lacks counts as zeros'
        )
    return None
