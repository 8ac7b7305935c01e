"""Formats and units of the files of one modality."""

from collections.abc import Iterable, Sequence

import numpy as np

from .band_source import BandSource
from .units import METER

# Types that samples keep; any other combination becomes float32.
SAMPLE_DTYPES = ('uint8', 'uint16', 'int16')


def common_dtype(dtypes: Iterable[str]) -> str:
    """Find the type of samples that holds the values of all files."""
    common = np.result_type(*dtypes)
    return common.name if common.name in SAMPLE_DTYPES else 'float32'


def some(paths: Sequence[str], number: int = 10) -> str:
    """Name the first paths, and say how many more there are."""
    more = f' and {len(paths) - number} more' if len(paths) > number else ''
    return ', '.join(paths[:number]) + more


def differing_types(kinds: Iterable[tuple[str, str]]) -> str | None:
    """Describe which types the files have.

    Args:
        kinds: type and path of each file.

    Returns:
        One sentence, None where all have one type.
    """
    by_kind: dict[str, list[str]] = {}
    for kind, path in kinds:
        by_kind.setdefault(kind, []).append(path)
    if len(by_kind) < 2:
        return None
    return (
        'expected files of one type, found '
        + '; '.join(f'{kind} in {len(p)} ({some(p, 3)})' for kind, p in by_kind.items())
        + '; their values are taken as they are, see that they have one unit'
    )


def converted_units(sources: Iterable[BandSource]) -> str | None:
    """Describe which files have heights that are converted to meters; None where none has.

    Args:
        sources: files of a modality.
    """
    by_unit: dict[str, list[str]] = {}
    undeclared = 0
    for source in sources:
        undeclared += not any(source.declared)
        for unit, meters in dict(zip(source.declared, source.meters, strict=True)).items():
            if meters != 1:
                by_unit.setdefault(unit + (' downwards' if meters < 0 else ''), []).append(
                    source.path
                )
    if not by_unit:
        return None
    said = '; '.join(f'from {unit} in {len(p)} ({some(p, 3)})' for unit, p in by_unit.items())
    rest = f'; {undeclared} that declare no unit are taken as meters' if undeclared else ''
    return f'heights are converted to meters: {said}{rest}'


def check_units(where: str, option: str, sources: Iterable[BandSource]) -> None:
    """Refuse files whose units cannot be brought together.

    Args:
        where: name of the modality, for messages.
        option: setting by which the user names the unit of the files.
        sources: files of the modality; those that declare no unit fit any other.

    Raises:
        ValueError: when two of them declare different units.
    """
    first: dict[int, tuple[str, str]] = {}
    for source in sources:
        for number, unit in enumerate(source.units):
            known, at = first.setdefault(number, (unit, source.path)) if unit else ('', '')
            if known.casefold() != unit.casefold():
                raise ValueError(
                    f'{where}: {source.path}: expected values in {known!r} as in {at}, found '
                    f'{unit!r}, which cannot be converted; {option} says in which unit they are'
                )


def check_lengths(source: BandSource, option: str) -> None:
    """Refuse a raster of heights whose values are declared to be something else.

    Args:
        source: raster that must have heights.
        option: setting by which the user names their unit.

    Raises:
        ValueError: when it has colors, or a unit that is no length.
    """
    if source.palette:
        raise ValueError(f'{source.path}: expected heights, found a palette of colors')
    wrong = [unit for unit in source.units if unit not in ('', METER)]
    if wrong:
        raise ValueError(
            f'{source.path}: expected heights in a unit of length, found {wrong[0]!r}; {option} '
            f'says in which unit they are'
        )
