"""Notes for the user on the rasters that pairs are made from."""

from collections.abc import Iterator, Mapping, Sequence

from mssdf.rasters.fill_values import describe_fills
from mssdf.rasters.formats import check_units, converted_units, differing_types, some
from mssdf.rasters.units import vertical_axis

from .boxes import CatalogError
from .build_settings import BuildSettings
from .catalog import CatalogedRaster

TERRAIN = 'terrain of '


def option_of(name: str, option: str) -> str:
    """Name an option for rasters of a modality, or for those of its ground."""
    prefix = 'dtm-' if name.startswith(TERRAIN) else ''
    return f'--{prefix}{option} {name.removeprefix(TERRAIN)}'


def describe_rasters(
    settings: BuildSettings, catalog: Mapping[str, Sequence[CatalogedRaster]]
) -> Iterator[str]:
    """Describe conversions and inconsistencies, one per line.

    Args:
        settings: settings of the run.
        catalog: rasters by modality, those of the ground under ``'terrain of NAME'``.

    Raises:
        CatalogError: if units cannot be reconciled.
    """
    for name, rasters in catalog.items():
        sources = [raster.source for raster in rasters]
        try:
            check_units(name, f'{option_of(name, "unit")}=UNIT', sources)
        except ValueError as error:
            raise CatalogError(str(error)) from None
        nodata = option_of(name, 'nodata')
        for said in (
            differing_types((source.dtype, source.path) for source in sources),
            converted_units(sources),
            describe_fills({r.path: r.fills for r in rasters if r.fills}, f'{nodata}='),
        ):
            if said is not None:
                yield f'{name}: {said}'
    for name, source in settings.sources.items():
        if source.is_height:
            yield from _datums(name, catalog)


def _datums(name: str, catalog: Mapping[str, Sequence[CatalogedRaster]]) -> Iterator[str]:
    """Name vertical datums that differ, as heights above different datums do not compare."""
    by_datum: dict[str, list[str]] = {}
    for raster in (*catalog[name], *catalog.get(TERRAIN + name, ())):
        axis = vertical_axis(raster.source.header.crs)
        if axis is not None:
            by_datum.setdefault(_datum(axis.name), []).append(raster.path)
    if len(by_datum) > 1:
        found = '; '.join(f'{datum} in {some(paths, 3)}' for datum, paths in by_datum.items())
        yield (
            f'Warning: {name}: expected heights over one datum, found {found}; they are taken as '
            f'they are, which may be wrong by tens of meters'
        )


def _datum(name: str) -> str:
    """Return the name of a vertical CRS without its unit: 'NAVD88 height (ftUS)' has NAVD88."""
    return name.split(' (ft')[0]
