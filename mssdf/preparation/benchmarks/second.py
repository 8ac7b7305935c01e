"""Conversion of SECOND's label colors."""

from pathlib import Path

from mssdf.datasets.tasks.classes import SECOND_PALETTE
from mssdf.datasets.transforms.load_rasters import read_image

from ..image_files import write_png
from .colors import indices_from_colors


def convert(tolerance: int, path: Path) -> str:
    """Write one label map as indices; return ``'there'`` if it exists."""
    target = path.parent.with_name(f'{path.parent.name}_index') / path.name
    if target.is_file():
        return 'there'
    colors, _ = read_image(str(path))
    write_png(target, indices_from_colors(colors, SECOND_PALETTE, path, tolerance))
    return 'written'
