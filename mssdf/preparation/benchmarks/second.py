"""SECOND's label colours."""

from pathlib import Path

from mssdf.datasets.tasks.classes import SECOND_PALETTE
from mssdf.datasets.transforms.load_rasters import read_image

from ..writing import write_png
from .colours import indices_from_colours


def convert(tolerance: int, path: Path) -> str:
    """Write one label map as indices; ``'there'`` if it is."""
    target = path.parent.with_name(f'{path.parent.name}_index') / path.name
    if target.is_file():
        return 'there'
    colours, _ = read_image(str(path))
    write_png(target, indices_from_colours(colours, SECOND_PALETTE, path, tolerance))
    return 'written'
