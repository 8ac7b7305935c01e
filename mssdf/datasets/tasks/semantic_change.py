"""SECOND: two dates, a land cover for each where something changed (arXiv 2010.05687)."""

from typing import Any

from mmseg.datasets import BaseCDDataset

from mssdf.registry import DATASETS

from .classes import SECOND, SECOND_PALETTE
from .matching_files import match_files


@DATASETS.register_module()
class SECONDDataset(BaseCDDataset):
    """SECOND's layout, with labels as indices (``tools/dataset_tools/convert_second.py``).

    Args:
        data_prefix: folders ``img_path``, ``img_path2``, ``seg_map_path`` and ``seg_map_path2``,
            under ``data_root``.
        **kwargs: arguments of mmseg's BaseCDDataset.

    Raises:
        FileNotFoundError: if a folder or a file is missing.
    """

    METAINFO = dict(classes=SECOND, palette=[list(color) for color in SECOND_PALETTE])

    def __init__(
        self,
        data_prefix: dict[str, str] | None = None,
        img_suffix: str = '.png',
        seg_map_suffix: str = '.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            data_prefix=data_prefix
            or dict(
                img_path='im1',
                img_path2='im2',
                seg_map_path='label1',
                seg_map_path2='label2',
            ),
            img_suffix=img_suffix,
            img_suffix2=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Make one dictionary of paths per pair."""
        keys = ('img_path', 'img_path2', 'seg_map_path', 'seg_map_path2')
        suffixes: dict[str, str] = dict.fromkeys(keys[:2], str(self.img_suffix))
        suffixes |= dict.fromkeys(keys[2:], str(self.seg_map_suffix))
        folders = {key: str(self.data_prefix[key]) for key in keys}
        return [dict(sample, seg_fields=[]) for sample in match_files(folders, suffixes, keys[2:])]


@DATASETS.register_module()
class SECONDChangeDataset(SECONDDataset):
    """SECOND as binary change detection: the same files, two classes."""

    METAINFO = dict(classes=('unchanged', 'changed'), palette=[[0, 0, 0], [255, 255, 255]])
