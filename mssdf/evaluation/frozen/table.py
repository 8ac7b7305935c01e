"""Tables of results: rows by name, seeds aggregated, intervals of scores and differences."""

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
        input: names of the modalities of the input, joined by ``+``.
        probe: name of the probe: ``kNN-20``, ``kNN-5``, ``linear`` or ``conv``.
        pool: name of the pooling: ``cls``, ``mean`` or ``patch``; ``image`` for features with a
            pooling of their own, which are compared with any.
        labels: share of the training labels, in percent.
        measure: name of the score: ``accuracy``, ``mIoU``, ``IoU``, ``R2`` or ``RMSE``.
    """

    set: str
    input: str
    probe: str
    pool: str
    labels: float
    measure: str

    def __str__(self) -> str:
        """Format a short text that names everything unusual."""
        pool = '' if self.pool in (ANY_POOL, 'patch') else f' {self.pool}'
        share = '' if self.labels == 100 else f' {self.labels:g} %'
        more = '' if self.input == 'rgb' else f' {self.input}'
        return f'{self.set}{more} {self.probe}{pool}{share} {self.measure}'

    @property
    def less_is_better(self) -> bool:
        """True if a smaller value is better."""
        return self.measure in LESS_IS_BETTER


@dataclass
class FeatureTable:
    """A table of the results of several encoders, each with one or several seeds, on several sets.

    Attributes:
        store: store of the results.
        units: names of units by the row's name, the set's name and the number of the run (seed).
        settings: hash of the settings that all results share.
        failures: lines on what could not be measured.
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
        """List the measures of the named rows, or of all rows if none is named.

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
        """List the numbers of the runs (seeds) of a row that were measured on a set, sorted."""
        return sorted(self.units[name].get(set_name, {}))

    def pairs(self, name: str, reference: str, set_name: str) -> list[int]:
        """List the numbers of the runs that two rows have in common, for their difference.

        The list is empty if a row has a single run, such as a baseline: it is compared with every
        run.
        """
        own, other = (self.runs(one, set_name) for one in (name, reference))
        if min(len(own), len(other)) < 2:
            return []
        return sorted(set(own) & set(other))

    def sums(self, name: str, measure: Measure) -> NDArray[np.float64] | None:
        """Return the sums (seeds, N, Q) over each image, in the order of :meth:`runs`.

        None if the row has no such measure.
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
        """Return a row's mean score over its seeds, with its interval; None if it has none."""
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
        """Return the score of a row minus that of another, with its interval.

        The difference is taken run by run over the runs of :meth:`pairs`. If there are none, it is
        taken over all runs of both rows, and each row varies by itself. None if one row has no such
        score, or if the set had other files when they were measured.
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
        """Return the fingerprints of the images that the seeds of a row were measured on."""
        read = [self.store.read(unit) for unit in self.units[name][set_name].values()]
        return {(one.get('fingerprint'), *one['names']) for one in read}

    def _groups(self, name: str, set_name: str) -> NDArray[np.int64] | None:
        """Return the groups of the images; None if they are independent."""
        groups = self.store.read(_first(self.units[name][set_name])).get('groups')
        return None if groups is None else np.array(groups, np.int64)

    def _measures_of(self, set_name: str, unit: str) -> Iterator[Measure]:
        """Yield the measures of a unit under the set's present name."""
        # The unit may come from a time when the set had another name.
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
    """Compare two rows in every measure that both have.

    Images are resampled in pairs. Rows of several runs (seeds) are compared run by run, over the
    runs that both have. There is no difference where the set had other files when the rows were
    measured.

    Args:
        table: table of results.
        name: name of a row.
        reference: name of the row whose scores are subtracted.
        measures: measures to compare; None takes all that both rows have.
        level: confidence level of the intervals.
        resamples: number of resamplings of the images.

    Returns:
        Interval of the difference in each measure.

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
        FileNotFoundError: if there is no table.
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
    """Return the unit of the first run."""
    return units[min(units)]
