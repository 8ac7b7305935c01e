"""The packing of images and labels of two dates for a model."""

from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from torch import from_numpy

from mssdf.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackSemanticChange(PackSegInputs):
    """mmseg's ``PackSegInputs``, with ``gt_first`` and ``gt_second`` in the data sample."""

    def transform(self, results: dict) -> dict:
        """Pack."""
        packed = super().transform(results)
        for name in ('gt_first', 'gt_second'):
            if name in results:
                labels = from_numpy(results[name].astype('int64'))[None]
                packed['data_samples'].set_data({name: PixelData(data=labels)})
        return packed
