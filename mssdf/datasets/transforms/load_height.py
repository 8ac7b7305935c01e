"""Heights as a target."""

import numpy as np
from mmcv.transforms import BaseTransform

from mssdf.registry import TRANSFORMS

from .load_rasters import read_image


@TRANSFORMS.register_module()
class LoadHeight(BaseTransform):
    """A loader of maps of heights in meters, NaN where they are not known.

    Key: ``depth_map_path`` (mmseg's name); without it, as where an inferencer predicts, nothing is
    loaded. Added key: ``gt_depth_map`` (H, W) float32,
    also in ``seg_fields``, so that what moves labels moves it too.

    Args:
        scale: meters per unit of the file; None takes the unit that the file declares, meters
            where it declares none.
        nodata: the file's own if None; a number replaces it.
        minimum, maximum: meters beyond which a value counts as unknown.

    Raises:
        ValueError: if the file has more than one band, or another size than the image.
    """

    def __init__(
        self,
        scale: float | None = None,
        nodata: float | None = None,
        minimum: float = -500.0,
        maximum: float = 9000.0,
    ) -> None:
        self.scale = scale
        self.nodata = nodata
        self.minimum = minimum
        self.maximum = maximum

    def transform(self, results: dict) -> dict:
        """Load."""
        path = results.get('depth_map_path')
        if path is None:
            return results
        unit = None if self.scale is None else 'ignore'
        values, valid = read_image(path, nodata=self.nodata, unit=unit)
        if values.shape[2] != 1:
            raise ValueError(f'{path}: expected heights in 1 band, found {values.shape[2]} bands')

        shape = results.get('ori_shape')
        if shape is not None and values.shape[:2] != tuple(shape):
            raise ValueError(
                f'{path}: expected {shape[0]} x {shape[1]} pixels as in '
                f'{results.get("img_path")}, found {values.shape[0]} x {values.shape[1]}'
            )

        heights = values[..., 0].astype(np.float32)
        if self.scale is not None:
            heights *= np.float32(self.scale)
        known = valid & np.isfinite(heights)
        known &= (heights >= self.minimum) & (heights <= self.maximum)
        results['gt_depth_map'] = np.where(known, heights, np.float32(np.nan))
        results.setdefault('seg_fields', []).append('gt_depth_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, nodata={self.nodata})'
