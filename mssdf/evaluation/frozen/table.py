"""Tables of features: rows by name, seeds aggregated, intervals of scores and differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bootstrap import RESAMPLES, Interval, difference_interval, score_interval
from .featurizer import ANY_POOL
from .scores import LESS_IS_BETTER, SCORES
from .store import ResultStore


class Measure(NamedTuple):
    """What is measured: a column of the table.

    Attributes:
        set: name of the set.
        input: modalities that the encoder saw, joined by ``+``.
        probe: ``kNN-20``, ``kNN-5``, ``linear`` or ``conv``.
        pool: ``cls``, ``mean`` or ``patch``; ``image`` for features with a pooling of their own,
            which compare with any.
        labels: share of the training labels in percent.
        measure: ``accuracy``, ``mIoU``, ``IoU``, ``R2`` or ``RMSE``.
    """

    set: str
    input: str
    probe: str
    pool: str
    labels: float
    measure: str

    def __str__(self) -> str:
        """Short text that names everything unusual."""
        pool = '' if self.pool in (ANY_POOL, 'patch') else f' {self.pool}'
        share = '' if self.labels == 100 else f' {self.labels:g} %'
        more = '' if self.input == 'rgb' else f' {self.input}'
        return f'{self.set}{more} {self.probe}{pool}{share} {self.measure}'

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller value is the better one."""
        return self.measure in LESS_IS_BETTER


@dataclass
class FeatureTable:
    """Results of several encoders, each with one or several seeds, on several sets.

    Attributes:
        store: where the results lie.
        units: for each row's name and each set, the units of its seeds, in their order.
        settings: hash of the settings that all share.
    """

    store: ResultStore
    units: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    settings: str = ''
    _sums: dict[str, dict[tuple, NDArray[np.float64]]] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> list[str]:
        """Names of the rows."""
        return list(self.units)

    def measures(self, name: str | None = None) -> list[Measure]:
        """Measures of a row, or of all rows without repetition."""
        names = self.names if name is None else [name]
        found: dict[Measure, None] = {}
        for one in names:
            for sets in self.units[one].values():
                for unit in sets[:1]:
                    found.update(dict.fromkeys(self._measures_of(unit)))
        return list(found)

    def sums(self, name: str, measure: Measure) -> NDArray[np.float64] | None:
        """Sums over each image, (seeds, N, Q); None if a row has no such measure."""
        units = self.units[name].get(measure.set, [])
        found = []
        for unit in units:
            arrays = self._load(unit)
            for pool in (measure.pool, ANY_POOL):
                key = measure[1:3] + (pool, measure.labels)
                if key in arrays:
                    found.append(arrays[key])
                    break
        return np.stack(found) if found and len(found) == len(units) else None

    def score(
        self, name: str, measure: Measure, level: float = 0.95, resamples: int = RESAMPLES
    ) -> Interval | None:
        """Score of a row, the mean over its seeds, with its interval; None if it has none."""
        sums = self.sums(name, measure)
        if sums is None:
            return None
        return score_interval(sums, SCORES[measure.measure], level, resamples)

    def difference(
        self,
        name: str,
        reference: str,
        measure: Measure,
        level: float = 0.95,
        resamples: int = RESAMPLES,
    ) -> Interval | None:
        """Score of a row less that of another, with its paired interval; None if one has none."""
        sums, other = self.sums(name, measure), self.sums(reference, measure)
        if sums is None or other is None:
            return None
        return difference_interval(sums, other, SCORES[measure.measure], level, resamples)

    def _measures_of(self, unit: str) -> Iterator[Measure]:
        read = self.store.read(unit)
        for one in read['results']:
            for measure in one['measures']:
                yield Measure(
                    read['set'], one['input'], one['probe'], one['pool'], one['labels'], measure
                )

    def _load(self, unit: str) -> dict[tuple, NDArray[np.float64]]:
        if unit not in self._sums:
            arrays = self.store.sums(unit)
            self._sums[unit] = {
                (one['input'], one['probe'], one['pool'], one['labels']): arrays[one['array']]
                for one in self.store.read(unit)['results']
            }
        return self._sums[unit]


def paired_differences(
    table: FeatureTable,
    name: str,
    reference: str,
    measures: Sequence[Measure] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> dict[Measure, Interval]:
    """Differences of two rows in every measure that both have.

    Images are resampled in pairs, and the seeds of each row by themselves.

    Args:
        table: results.
        name: name of a row.
        reference: name of the row whose scores are subtracted.
        measures: measures to compare; all of the first row if None.
        level: share of the resampled differences inside.
        resamples: number of resamplings.

    Raises:
        KeyError: if the table has no row of that name.
    """
    for one in (name, reference):
        if one not in table.units:
            raise KeyError(f'{one!r}: expected a row of the table, found {table.names}')
    found = {
        measure: table.difference(name, reference, measure, level, resamples)
        for measure in (table.measures(name) if measures is None else measures)
    }
    return {measure: interval for measure, interval in found.items() if interval is not None}


def load_table(out: str | Path) -> FeatureTable:
    """Read the table that the last measurement left in a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    store = ResultStore(out)
    header = store.header()
    if not header:
        raise FileNotFoundError(f'{store.folder}: expected a table of features, found none')
    table = FeatureTable(store, settings=header['latest'])
    for record in header['rows']:
        if record['settings'] != header['latest'] or not store.has(record['unit']):
            continue
        units = table.units.setdefault(record['name'], {}).setdefault(record['set'], [])
        if record['unit'] not in units or units.index(record['unit']) < record['run']:
            if len(units) == record['run']:
                units.append(record['unit'])
    return table
