"""Tables of features: rows by name, seeds aggregated, intervals of scores and differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bootstrap import RESAMPLES, Interval, difference_interval, score_interval
from .featurizer import ANY_POOL
from .scores import LESS_IS_BETTER, SCORES
from .store import ResultStore


class Measure(NamedTuple):
    """A column of the table: one measure of one set.

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
        """Tell whether a smaller value is the better one."""
        return self.measure in LESS_IS_BETTER


@dataclass
class FeatureTable:
    """Results of several encoders, each with one or several seeds, on several sets.

    Attributes:
        store: where the results lie.
        units: for each row's name and each set, the unit of each run (seed) by its number.
        settings: hash of the settings that all share.
        failures: what could not be measured, a line for each.
    """

    store: ResultStore
    units: dict[str, dict[str, dict[int, str]]] = field(default_factory=dict)
    settings: str = ''
    failures: list[str] = field(default_factory=list)
    _sums: dict[str, dict[tuple, NDArray[np.float64]]] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> list[str]:
        """Names of the rows."""
        return list(self.units)

    def measures(self, *names: str) -> list[Measure]:
        """Measures that any of the rows has, all rows if none is named.

        Baselines, whose features have a pooling of their own, count under every pooling of the
        encoders.
        """
        found: dict[Measure, None] = {}
        for one in names or self.names:
            for set_name, units in self.units[one].items():
                found.update(dict.fromkeys(self._measures_of(set_name, _first(units))))
        pooled = {measure._replace(pool=ANY_POOL) for measure in found if measure.pool != ANY_POOL}
        return [measure for measure in found if measure.pool != ANY_POOL or measure not in pooled]

    def runs(self, name: str, set_name: str) -> list[int]:
        """Numbers of the runs (seeds) of a row that were measured on a set, sorted."""
        return sorted(self.units[name].get(set_name, {}))

    def pairs(self, name: str, reference: str, set_name: str) -> list[int]:
        """Numbers of the runs that two rows have in common, whose differences count.

        Empty if a row has a single run, such as a baseline: it is compared with every run.
        """
        own, other = (self.runs(one, set_name) for one in (name, reference))
        if min(len(own), len(other)) < 2:
            return []
        return sorted(set(own) & set(other))

    def sums(self, name: str, measure: Measure) -> NDArray[np.float64] | None:
        """Sums over each image, (seeds, N, Q), in the order of :meth:`runs`.

        None if a row has no such measure.
        """
        runs = self.runs(name, measure.set)
        found = []
        for run in runs:
            arrays = self._load(self.units[name][measure.set][run])
            for pool in (measure.pool, ANY_POOL):
                key = measure[1:3] + (pool, measure.labels)
                if key in arrays:
                    found.append(arrays[key])
                    break
        return np.stack(found) if found and len(found) == len(runs) else None

    def score(
        self, name: str, measure: Measure, level: float = 0.95, resamples: int = RESAMPLES
    ) -> Interval | None:
        """Score of a row, the mean over its seeds, with its interval; None if it has none."""
        sums = self.sums(name, measure)
        if sums is None:
            return None
        groups = self._groups(name, measure.set)
        return score_interval(sums, SCORES[measure.measure], level, resamples, groups=groups)

    def difference(
        self,
        name: str,
        reference: str,
        measure: Measure,
        level: float = 0.95,
        resamples: int = RESAMPLES,
    ) -> Interval | None:
        """Score of a row less that of another, with its interval.

        Over the runs of :meth:`pairs`, run by run; over all runs of both rows if there are none,
        as then each row spreads by itself. None if one row has no such score, or the set had
        other files when they were measured.
        """
        sums, other = self.sums(name, measure), self.sums(reference, measure)
        if sums is None or other is None:
            return None
        if self._images(name, measure.set) != self._images(reference, measure.set):
            return None
        pairs = self.pairs(name, reference, measure.set)
        if pairs:
            sums, other = (
                found[np.isin(self.runs(one, measure.set), pairs)]
                for one, found in ((name, sums), (reference, other))
            )
        return difference_interval(
            sums,
            other,
            SCORES[measure.measure],
            level,
            resamples,
            groups=self._groups(name, measure.set),
            paired=bool(pairs),
        )

    def _images(self, name: str, set_name: str) -> set[tuple[Any, ...]]:
        """Fingerprints of the images that the seeds of a row were measured on."""
        read = [self.store.read(unit) for unit in self.units[name][set_name].values()]
        return {(one.get('fingerprint'), *one['names']) for one in read}

    def _groups(self, name: str, set_name: str) -> NDArray[np.int64] | None:
        """Groups of the images, None if they are independent."""
        groups = self.store.read(_first(self.units[name][set_name])).get('groups')
        return None if groups is None else np.array(groups, np.int64)

    def _measures_of(self, set_name: str, unit: str) -> Iterator[Measure]:
        # the unit may have been measured when the set had another name
        for one in self.store.read(unit)['results']:
            for measure in one['measures']:
                yield Measure(
                    set_name, one['input'], one['probe'], one['pool'], one['labels'], measure
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

    Images are resampled in pairs; rows of several runs (seeds) are compared run by run, over the
    runs that both have. Where the set had other files when the rows were measured, there is no
    difference.

    Args:
        table: results.
        name: name of a row.
        reference: name of the row whose scores are subtracted.
        measures: measures to compare; all that both rows have if None.
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
        for measure in (table.measures(name, reference) if measures is None else measures)
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
        if record['settings'] == header['latest'] and store.has(record['unit']):
            units = table.units.setdefault(record['name'], {}).setdefault(record['set'], {})
            units[record['run']] = record['unit']
    return table


def _first(units: Mapping[int, str]) -> str:
    """Unit of the first run."""
    return units[min(units)]
