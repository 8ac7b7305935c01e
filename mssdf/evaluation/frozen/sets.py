"""Descriptions of evaluation sets on the command line, in a file, or by name."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mssdf.errors import ConfigError, FileError, Words
from mssdf.utils.project_root import ROOT
from mssdf.utils.text_files import read_text

KINDS = ('scenes', 'masks', 'height', 'cover', 'buildings')
ALIASES = dict(heights='height', dense='masks')
SYNTAX = f'NAME=KIND:PATH[,OPTION=VALUE...] with KIND one of {", ".join(KINDS)}'


@dataclass(frozen=True)
class EvaluationSet:
    """An evaluation set: its kind and its files.

    Attributes:
        name: name of the set in tables.
        kind: one of ``KINDS``.

            - ``'scenes'``: ``PATH/CLASS/*``; with ``heights``, a folder with a raster of the same
              relative name for each image.
            - ``'masks'``: ``PATH/images/*`` and ``PATH/masks/*`` of the same names; with
              ``PATH/heights/*``, if there, the second modality.
            - ``'height'``: ``PATH/NAME_dom.tif`` and ``PATH/NAME_dsm.tif``, or both in
              ``PATH/patch``.
            - ``'cover'``: laid out like ``'height'``; the target is land cover derived from
              colors and heights, the heights are the second modality.
            - ``'buildings'``: chips named after their web mercator tile, and
              ``labels.geojson`` with outlines.
        path: folder of the set.
        image: folder (masks) or ending of the names (height, cover) of the images.
        target: folder or ending of the names of the masks or heights.
        heights: folder of the second modality (scenes, masks).
        modality: name of the second modality as encoders know it.
        window: side in pixels of the windows that rasters are cut into; 0 takes whole images;
            None takes the encoders' input size for ``'height'`` and ``'cover'``, else whole images.
        ignore: value of masks that is ignored.
        limit: largest number of images; a larger set is sampled at equal steps.
    """

    name: str
    kind: str
    path: str
    image: str | None = None
    target: str | None = None
    heights: str | None = None
    modality: str = 'dsm'
    window: int | None = None
    ignore: int = 255
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: if the kind is unknown, the name is empty, or a number is negative.
        """
        if self.kind not in KINDS:
            raise ValueError(f'set {self.name!r}: kind: expected one of {KINDS}, found {self.kind}')
        if not self.name or any(letter in self.name for letter in '=,/|'):
            raise ConfigError('set', 'a name without any of = , / |', self.name)
        for option, least in (('window', 0), ('limit', 1)):
            value = getattr(self, option)
            if value is not None and value < least:
                raise ValueError(
                    f'set {self.name!r}: {option}: expected {least} or more, found {value}'
                )

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that change the result: all but name and path."""
        return {key: value for key, value in asdict(self).items() if key not in ('name', 'path')}


def suite(name: str) -> list[EvaluationSet]:
    """Return the sets of a named suite.

    ``'small'`` consists of the imagery that ships: EuroSAT's scenes, Kampala's buildings as masks,
    Autzen's and IGN's heights, and land cover of both places derived from colors and heights.

    Raises:
        ValueError: if the name is unknown.
    """
    if name != 'small':
        raise ValueError(f"suite: expected 'small', found {name!r}")
    data = ROOT / 'tests' / 'data'
    autzen, france = str(data / 'autzen'), str(data / 'ign_lidarhd')
    ends = ('rgbn.tif', 'dsm.tif')
    return [
        EvaluationSet('eurosat', 'scenes', str(data / 'eurosat_rgb')),
        EvaluationSet('kampala', 'buildings', str(data / 'buildings_kampala')),
        EvaluationSet('autzen', 'height', autzen),
        EvaluationSet('ign', 'height', france, *ends),
        EvaluationSet('autzen-cover', 'cover', autzen),
        EvaluationSet('ign-cover', 'cover', france, *ends),
    ]


def parse_set(text: str) -> list[EvaluationSet]:
    """Parse sets from an item of the command line.

    Args:
        text: text ``NAME=KIND:PATH[,OPTION=VALUE...]``, path of a JSON file with a list of such
            sets as dictionaries, or name of a set of the small suite.

    Raises:
        ValueError: if the text is none of these.
    """
    if text.endswith('.json'):
        return read_sets(text)

    if '=' not in text:
        known = {described.name: described for described in suite('small')}
        if text in known:
            return [known[text]]
        raise ValueError(
            f'set: expected {SYNTAX}, a JSON file or one of {sorted(known)}, found {text!r}'
        )

    name, _, rest = text.partition('=')
    kind, colon, rest = rest.partition(':')
    path, *options = rest.split(',')
    if not colon or not path:
        raise ValueError(f'set: expected {SYNTAX}, found {text!r}')

    given: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition('=')
        if not equals:
            raise ValueError(f'set {name!r}: expected OPTION=VALUE, found {option!r}')
        given[key] = int(value) if value.lstrip('-').isdigit() else value

    return [make_set(dict(name=name, kind=kind, path=path, **given))]


def read_sets(path: str | Path) -> list[EvaluationSet]:
    """Read sets from a JSON file with a list of dictionaries; paths are relative to the file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it does not hold such a list.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: expected a JSON file of evaluation sets, found none')
    try:
        found = json.loads(read_text(path))
    except ValueError as error:  # not JSON, or not text at all
        raise ValueError(f'{path}: expected JSON, found: {error}') from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FileError(
            path, 'a list of dictionaries, one for each set', Words(f'a {type(found).__name__}')
        )
    return [
        make_set(
            {**one, 'path': str(path.parent / one['path'])}
            if isinstance(one.get('path'), str)
            else one
        )
        for one in found
    ]


def make_set(given: Mapping[str, Any]) -> EvaluationSet:
    """Build a set from a dictionary.

    Raises:
        ValueError: if keys are unknown or missing, or values do not fit.
    """
    known = {item.name for item in fields(EvaluationSet)}
    unknown = set(given) - known
    lacking = {'name', 'kind', 'path'} - set(given)

    if unknown or lacking:
        raise ValueError(
            f'set {given.get("name", "")!r}: expected options among {sorted(known)} and at least '
            f'name, kind and path, found {sorted(unknown)} and no {sorted(lacking)}'
        )

    for option in ('window', 'limit', 'ignore'):
        value = given.get(option, 0)
        if not isinstance(value, int | None) or isinstance(value, bool):
            raise ValueError(
                f'set {given["name"]!r}: {option}: expected an integer, found {given[option]!r}'
            )

    for option in ('name', 'kind', 'path', 'modality', 'image', 'target', 'heights'):
        optional = option in ('image', 'target', 'heights')
        value = given.get(option, '')
        if not isinstance(value, str) and not (optional and value is None):
            raise ValueError(
                f'set {given["name"]!r}: {option}: expected text, found {given[option]!r}'
            )

    return EvaluationSet(**{**given, 'kind': ALIASES.get(given['kind'], given['kind'])})


def resolve_sets(sets: Sequence[str | Mapping[str, Any] | EvaluationSet]) -> list[EvaluationSet]:
    """Convert texts and dictionaries to sets.

    Raises:
        ValueError: if two sets have one name, or one cannot be parsed.
    """
    found: list[EvaluationSet] = []
    for item in sets:
        if isinstance(item, EvaluationSet):
            found.append(item)
        else:
            found.extend(parse_set(item) if isinstance(item, str) else [make_set(item)])
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        raise ValueError(f'sets: expected different names, found {names}')
    return found
