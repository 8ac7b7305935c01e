"""Refusal of rasters whose pixels have no grid on the ground."""

from .raster_header import RasterHeader

REMEDY = {
    'GCPs': 'gdalwarp -tps',
    'RPCs': 'gdalwarp -rpc',
    'geolocation arrays': 'gdalwarp -geoloc',
}


def refuse_points(header: RasterHeader) -> None:
    """Refuse a raster that points alone place: its pixels are no grid of any CRS.

    Args:
        header: header of the raster file.

    Raises:
        ValueError: if points alone place a file; the error names the command that makes a grid.
    """
    if header.points:
        raise ValueError(
            f'{header.path}: expected a grid (a geotransform), found {header.points} alone; '
            f'rectify it, for instance with {REMEDY[header.points]}'
        )


def require_grid(header: RasterHeader) -> None:
    """Refuse a raster that is to be put on the map and does not say where it lies.

    Args:
        header: header of the raster file.

    Raises:
        ValueError: when it lacks a geotransform or a CRS.
    """
    refuse_points(header)
    if not header.crs:
        raise ValueError(f'{header.path}: expected a CRS, found none')
    if not header.has_transform:
        raise ValueError(
            f'{header.path}: expected a grid (a geotransform), found none; set it, for instance '
            'with gdal_edit.py -a_ullr'
        )


def check_pixel_grids(reference: RasterHeader, source: RasterHeader) -> None:
    """Refuse two rasters of a scene whose pixels cannot be matched.

    Without a geotransform in either, pixels of the same row and column are matched, which only
    files of one size allow.

    Args:
        reference: header of the scene's reference.
        source: header of another raster of the scene.

    Raises:
        ValueError: naming the file that does not fit.
    """
    if reference.path == source.path:
        return
    refuse_points(reference)
    refuse_points(source)
    sizes = [(header.width, header.height) for header in (reference, source)]
    if not (reference.has_transform or source.has_transform) and sizes[0] != sizes[1]:
        raise ValueError(
            f'{source.path}: expected {sizes[0][0]} x {sizes[0][1]} pixels as in its reference '
            f'{reference.path}, since neither file has a geotransform, found '
            f'{sizes[1][0]} x {sizes[1][1]}'
        )
