"""Images with a map of heights each."""

from typing import Any

from mmseg.datasets import BaseSegDataset

from mssdf.registry import DATASETS

from .matching_files import match_files


@DATASETS.register_module()
class HeightDataset(BaseSegDataset):
    """Images and rasters of heights of the same name, in parallel folders.

    Args:
        data_prefix: folders ``img_path`` and ``depth_map_path``, under ``data_root``.
        img_suffix: ending of the images.
        depth_map_suffix: ending of the heights.
        **kwargs: arguments of mmseg's BaseSegDataset.

    Raises:
        FileNotFoundError: if a folder or a file is missing.
    """

    METAINFO = dict(classes=('height',), palette=[[255, 255, 255]])

    def __init__(
        self,
        data_prefix: dict[str, str],
        img_suffix: str = '.tif',
        depth_map_suffix: str = '.tif',
        **kwargs: Any,
    ) -> None:
        self.depth_map_suffix = depth_map_suffix
        super().__init__(data_prefix=data_prefix, img_suffix=img_suffix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Make one dictionary of paths per image."""
        keys = ('img_path', 'depth_map_path')
        suffixes = dict(zip(keys, (self.img_suffix, self.depth_map_suffix), strict=True))
        folders = {key: self.data_prefix[key] for key in keys}
        return [dict(sample, seg_fields=[]) for sample in match_files(folders, suffixes)]
