"""DIOR-R's XML files, as mmrotate reads them."""

from pathlib import Path
from typing import Any

from ..preparation.voc import read_objects
from .lines import read_lines

CORNERS = ('left_top', 'right_top', 'right_bottom', 'left_bottom')
BOXES = dict(
    obb=('robndbox', tuple(f'{axis}_{corner}' for corner in CORNERS for axis in 'xy')),
    hbb=('bndbox', ('xmin', 'ymin', 'xmax', 'ymax')),
)


def check_xml(dataset: Any) -> None:
    """Check the XML of all images that a dataset lists.

    Args:
        dataset: mmrotate's ``DIORDataset``.

    Raises:
        FileNotFoundError: if an XML is missing.
        ValueError: with the file and what was expected.
    """
    listed = Path(dataset.ann_file)
    tag, keys = BOXES[dataset.ann_type]
    folder = Path(dataset.data_root or '', dataset.ann_subdir)
    for number, name in enumerate(read_lines(listed), 1):
        if not name.strip():
            raise ValueError(f'{listed}: line {number}: expected the name of an image, found none')
        read_objects(folder / f'{name}.xml', tag, keys, tuple(dataset.metainfo['classes']))
