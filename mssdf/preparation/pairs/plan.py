"""Plan of the tiles to make and of their rasters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mssdf.rasters.crs import same_coordinates
from mssdf.rasters.formats import common_dtype

from .build_settings import BuildSettings
from .catalog import CatalogedRaster, open_catalog
from .notes import TERRAIN, describe_rasters
from .target_grid import Rect, TargetGrid, make_grids, plane_crs


@dataclass(frozen=True)
class Tile:
    """A tile to make.

    Attributes:
        name: name of its files.
        grid: grid that it belongs to.
        row, col: position among the tiles of the grid.
        rect: pixels of the tile, cut to the area where all required modalities may have some.
        rasters: rasters of each modality that meet the tile; the ground of a modality of heights is
            under ``'terrain of NAME'``.
    """

    name: str
    grid: TargetGrid
    row: int
    col: int
    rect: Rect
    rasters: dict[str, tuple[CatalogedRaster, ...]]


@dataclass
class Plan:
    """A plan of everything to do.

    Attributes:
        tiles: tiles in the order of their names.
        dtypes: number type of each modality's pixels.
        bands: number of bands of each modality.
        refused: the reason for each raster that cannot be used.
        no_overlap: number of tiles of the reference where another required modality is missing.
        notes: lines with notes on the rasters.
    """

    tiles: list[Tile]
    dtypes: dict[str, str]
    bands: dict[str, int]
    refused: dict[str, str] = field(default_factory=dict)
    no_overlap: int = 0
    notes: tuple[str, ...] = ()


def make_plan(settings: BuildSettings) -> Plan:
    """Read all headers and lay out the tiles.

    Raises:
        CatalogError: if a modality has no usable raster.
    """
    catalog: dict[str, list[CatalogedRaster]] = {}
    refused: dict[str, str] = {}

    for name, source in settings.sources.items():
        catalog[name], bad = open_catalog(name, source)
        refused |= bad
        if source.terrain:
            catalog[TERRAIN + name], bad = open_catalog(name, source, terrain=True)
            refused |= bad

    grids = make_grids(
        catalog[settings.reference], settings.crs, settings.resolution, settings.tile
    )

    needed = [name for name in catalog if name.removeprefix(TERRAIN) in settings.required]
    tiles: list[Tile] = []
    without = 0
    for grid in grids:
        laid, lacking = _lay_tiles(grid, catalog, settings.reference, needed, len(grids) > 1)
        tiles += laid
        without += lacking

    return Plan(
        tiles=sorted(tiles, key=lambda tile: tile.name),
        dtypes={name: _dtype(catalog, name) for name in settings.sources},
        bands={name: len(catalog[name][0].source.bands) for name in settings.sources},
        refused=refused,
        no_overlap=without,
        notes=tuple(describe_rasters(settings, catalog)),
    )


def _dtype(catalog: Mapping[str, Sequence[CatalogedRaster]], name: str) -> str:
    if TERRAIN + name in catalog:
        return 'float32'
    return common_dtype(raster.source.dtype for raster in catalog[name])


def _lay_tiles(
    grid: TargetGrid,
    catalog: Mapping[str, Sequence[CatalogedRaster]],
    reference: str,
    needed: Sequence[str],
    several_grids: bool,
) -> tuple[list[Tile], int]:
    """Lay out the tiles of one grid; count those that lack a required modality."""
    meets: dict[tuple[int, int], dict[str, list[CatalogedRaster]]] = {}
    boxes: dict[tuple[int, int], dict[str, Rect]] = {}
    area: Rect | None = None

    # The reference comes first: tiles that it does not meet are not made.
    for name, rasters in catalog.items():
        for raster in rasters:
            if name == reference and several_grids and not _belongs(raster, grid):
                continue
            near = grid.bounds(area) if area and name != reference else None
            for bounds in raster.boxes_in(grid.crs, near):
                box = grid.rect_of(bounds)
                if name == reference:
                    area = area | box if area else box
                for place in grid.tiles_in(box):
                    if name != reference and place not in meets:
                        continue
                    found = meets.setdefault(place, {}).setdefault(name, [])
                    if raster not in found[-1:]:
                        found.append(raster)
                    inside = box & grid.tile_rect(*place)
                    known = boxes.setdefault(place, {})
                    known[name] = known[name] | inside if name in known else inside

    # A tile is cut to the area where every required modality may have pixels.
    tiles = []
    for (row, col), rasters_here in meets.items():
        if any(name not in rasters_here for name in needed):
            continue

        rect = grid.tile_rect(row, col)
        for name in needed:
            rect = rect & boxes[row, col][name]
        if 0 in rect.size:
            continue
        chosen = {name: tuple(found) for name, found in rasters_here.items()}
        tiles.append(Tile(_tile_name(grid, row, col), grid, row, col, rect, chosen))

    return tiles, len(meets) - len(tiles)


def _belongs(raster: CatalogedRaster, grid: TargetGrid) -> bool:
    """Tell whether a raster of the reference belongs to a grid."""
    return same_coordinates(plane_crs(raster), grid.crs)


def _tile_name(grid: TargetGrid, row: int, col: int) -> str:
    """Name a tile by its position from the origin of the CRS: ``epsg32633_n15625_e01234``."""
    north, east = -row - 1, col
    parts = [f'{axis[value < 0]}{abs(value):05d}' for axis, value in (('ns', north), ('ew', east))]
    return '_'.join([grid.code, *parts])
