"""Measurement of several encoders on several sets, resumable."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mssdf.errors import CheckpointError
from mssdf.utils.fingerprints import digest_of, file_facts

from .baselines import ImageStatistics, RandomConvolutions
from .bootstrap import Interval, score_interval
from .data import EvaluationData
from .encoders import EncoderFile
from .featurizer import Featurizer
from .measurement_settings import MeasurementSettings
from .measuring import measure
from .reading import files_of, load_set
from .scores import SCORES
from .sets import EvaluationSet, resolve_sets
from .store import ResultStore
from .table import FeatureTable

UNTRAINED, STATISTICS, CONVOLUTIONS = 'untrained', 'image statistics', 'random convolutions'
ROW_RESAMPLES = 1000

SetLike = str | Mapping[str, Any] | EvaluationSet
EncoderLike = str | Path | EncoderFile
RowLike = EncoderLike | Sequence[EncoderLike] | Mapping[int, EncoderLike]


@dataclass
class _Row:
    """A run (seed) of a row: how to build it, and a hash of what its scores depend on."""

    name: str
    run: int
    identity: str
    checkpoint: str
    build: Callable[[], Any]
    forget: Callable[[], None] = lambda: None
    built: list[Any] = field(default_factory=list)
    broken: Exception | None = None

    def featurizer(self, device: str) -> Featurizer:
        """Return the encoder, built once.

        Raises:
            CheckpointError: if the checkpoint does not give an encoder; it is read only once.
        """
        if self.broken is not None:
            raise self.broken
        if not self.built:
            try:
                encoder = self.build()
            except (CheckpointError, ValueError) as error:
                self.broken = error
                raise
            self.built.append(encoder.to(device) if hasattr(encoder, 'to') else encoder)
        return self.built[0]

    def release(self) -> None:
        """Free the encoder and its weights."""
        self.built.clear()
        self.forget()


def evaluate_encoders(
    encoders: Mapping[str, RowLike],
    sets: Sequence[SetLike],
    out: str | Path,
    settings: MeasurementSettings | None = None,
    baselines: bool = True,
    device: str = 'cpu',
    progress: Callable[[str], None] = print,
    against: str | None = None,
) -> FeatureTable:
    """Measure frozen features of encoders on sets; results in ``out`` are not repeated.

    Args:
        encoders: checkpoints by the name of their row, one for each run (seed): a list, or a
            dictionary by the number of the run. Two rows are compared over the runs that both have.
        sets: evaluation sets; see :mod:`~mssdf.evaluation.frozen.sets`.
        out: folder of the results.
        settings: settings of the measurement.
        baselines: whether the table also has the untrained encoder (of each architecture and seed),
            image statistics and random convolutions.
        device: device of the encoders and the probes.
        progress: function that takes lines of progress.
        against: name of the row that the others will be compared with; it is checked before
            anything is measured.

    Returns:
        The table, with the rows in the given order, then the baselines. A checkpoint or set that
        cannot be read, or an encoder that cannot be measured on a set, is left out and named in
        ``failures``.

    Raises:
        CheckpointError: if none of the checkpoints exists.
        FileNotFoundError: if the folder of a set is missing.
        ValueError: if there is nothing to measure or to compare with, two seeds of a row have the
            same weights, ``out`` holds another table, or no measurement was possible.
    """
    settings = settings or MeasurementSettings()
    described = resolve_sets(sets)
    store = ResultStore(out)
    store.header()  # fails before the first measurement if the table cannot be continued
    table = FeatureTable(store, settings=settings.digest)
    rows = _rows(encoders, baselines, table.failures)
    if not described or not rows:
        raise ValueError('expected at least one set and one encoder, found none')
    names = list(dict.fromkeys([*encoders, *(row.name for row in rows)]))
    if against is not None and against not in names:
        raise ValueError(f'against: expected one of {names}, found {against!r}')

    fingerprints = {one.name: _fingerprint(one) for one in described}
    for failure in table.failures:
        progress(f'left out: {failure}')
    _Measurement(table, settings, device, fingerprints, progress).run(rows, described)
    if not table.units:
        raise ValueError(table.failures[0])
    return table


@dataclass
class _Measurement:
    """A measurement of rows on sets, one after the other."""

    table: FeatureTable
    settings: MeasurementSettings
    device: str
    fingerprints: Mapping[str, str]
    progress: Callable[[str], None]
    loaded: dict[str, EvaluationData | Exception] = field(default_factory=dict)
    done: int = 0
    count: int = 0

    def run(self, rows: Sequence[_Row], sets: Sequence[EvaluationSet]) -> None:
        """Measure what is missing, and write the table after every row and set."""
        store = self.table.store
        missing = {self._unit(row, one) for row in rows for one in sets}
        missing = {unit for unit in missing if not store.has(unit)}
        self.count = len(missing)
        self.progress(f'{self.count} of {len(rows) * len(sets)} measurements to do')

        intervals: dict[tuple[str, str, str], Interval] = {}
        records: list[dict[str, Any]] = []
        header = dict(latest=self.settings.digest, conditions=asdict(self.settings))
        for row in rows:
            for one in sets:
                unit = self._unit(row, one)
                if not store.has(unit) and not self._measured(row, one, unit):
                    continue
                units = self.table.units.setdefault(row.name, {}).setdefault(one.name, {})
                units[row.run] = unit
                records += _records(store, unit, row, one, self.settings, intervals)
                if unit in missing:
                    store.write_table(records, header)
            row.release()
        if records:
            store.write_table(records, header)

    def _unit(self, row: _Row, described: EvaluationSet) -> str:
        return digest_of(row.identity, self.fingerprints[described.name], self.settings.digest)

    def _measured(self, row: _Row, described: EvaluationSet, unit: str) -> bool:
        """Measure a row on a set; report an error and go on with the others."""
        self.done += 1
        place = f'[{self.done}/{self.count}] {row.name}'
        try:
            seconds = self._measure(row, described, unit)
        except (CheckpointError, ValueError, FileNotFoundError) as error:
            if _note(self.table.failures, error):
                self.progress(f'{place}, {described.name}: {self.table.failures[-1]}')
            return False
        self.progress(f'{place}, run {row.run}, {described.name}: {seconds:.1f} s')
        return True

    def _measure(self, row: _Row, described: EvaluationSet, unit: str) -> float:
        """Measure a row on a set that is read once for all rows; return the seconds."""
        name = described.name
        if name not in self.loaded:
            self.loaded[name] = _loaded(described, self.settings.img_size)
        data = self.loaded[name]
        if isinstance(data, Exception):
            raise data
        return _measure(
            self.table.store,
            unit,
            row,
            described,
            data,
            self.settings,
            self.device,
            self.fingerprints[name],
        )


def _note(failures: list[str], error: Exception) -> bool:
    """Add an error as one line, unless it is there already."""
    line = '; '.join(part.strip() for part in str(error).splitlines())
    if line in failures:
        return False
    failures.append(line)
    return True


def build_featurizers(
    encoders: Mapping[str, RowLike],
    baselines: bool = True,
    device: str = 'cpu',
) -> dict[str, Featurizer]:
    """Build the first run of every row of :func:`evaluate_encoders`, as far as possible.

    Args:
        encoders: checkpoints by the name of their row.
        baselines: whether the baselines are built too.
        device: device of the encoders.

    Returns:
        Encoders and baselines by the name of their row.
    """
    found: dict[str, Featurizer] = {}
    for row in _rows(encoders, baselines, []):
        if row.name in found:
            continue
        try:
            found[row.name] = row.featurizer(device)
        except (CheckpointError, ValueError):
            continue  # its error was shown when it was measured
    return found


def _rows(encoders: Mapping[str, RowLike], baselines: bool, failures: list[str]) -> list[_Row]:
    """Make the rows of all encoders and baselines; unreadable checkpoints go to ``failures``."""
    files = {name: _numbered(given) for name, given in encoders.items()}
    empty = [name for name, given in files.items() if not given]

    reserved = {UNTRAINED, STATISTICS, CONVOLUTIONS} & set(files) if baselines else set()
    if empty or reserved:
        raise ValueError(
            f'encoders: expected at least one checkpoint for each name, and no name of a baseline; '
            f'found none for {empty}, reserved {sorted(reserved)}'
        )

    files = {name: _readable(given, failures) for name, given in files.items()}
    if files and not any(files.values()):
        raise CheckpointError(failures[0])
    for name, given in files.items():
        _check_different(name, given)

    rows = [
        _Row(name, run, file.identity, str(file.path), file.trained, file.forget)
        for name, given in files.items()
        for run, file in given.items()
    ]

    if not baselines:
        return rows
    rows += _untrained(files, failures)
    rows.append(_Row(STATISTICS, 0, STATISTICS, '', ImageStatistics))
    rows.append(_Row(CONVOLUTIONS, 0, CONVOLUTIONS, '', RandomConvolutions))
    return rows


def _numbered(given: RowLike) -> dict[int, EncoderFile]:
    """Return the files of a row by the number of the run, sorted."""
    if isinstance(given, str | Path | EncoderFile):
        given = [given]
    numbered = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
    return {
        run: replace(file) if isinstance(file, EncoderFile) else EncoderFile(Path(file))
        for run, file in sorted(numbered.items())
    }


def _readable(given: Mapping[int, EncoderFile], failures: list[str]) -> dict[int, EncoderFile]:
    """Select the files that can be read."""
    kept = {}
    for run, file in given.items():
        try:
            file.identity  # noqa: B018  (reads the file)
        except CheckpointError as error:
            _note(failures, error)
        else:
            kept[run] = file
    return kept


def _check_different(name: str, given: Mapping[int, EncoderFile]) -> None:
    """Refuse two runs of a row with the same content."""
    seen: dict[str, EncoderFile] = {}
    for file in given.values():
        first = seen.setdefault(file.identity, file)
        if first is not file:
            raise ValueError(
                f'{name}: expected a checkpoint of each seed, found the same weights in '
                f'{first.path} and {file.path}'
            )


def _untrained(files: Mapping[str, Mapping[int, EncoderFile]], failures: list[str]) -> list[_Row]:
    """Make an untrained row for each architecture, of the encoder with the most modalities.

    Its runs are those of the encoder, without those that start from the same weights.
    """
    chosen: dict[str, tuple[int, str]] = {}
    for name, given in files.items():
        for file in given.values():
            try:
                count, architecture = file.num_modalities, file.architecture
                if architecture not in chosen:
                    file.untrained()  # a config that fails leaves the baseline to another file
            except (CheckpointError, ValueError) as error:
                _note(failures, error)
                continue
            if architecture not in chosen or count > chosen[architecture][0]:
                chosen[architecture] = (count, name)
            break  # all runs of a row have one architecture

    rows = []
    for _, name in chosen.values():
        row = UNTRAINED if len(chosen) == 1 else f'{UNTRAINED} ({name})'
        different: dict[str, tuple[int, EncoderFile]] = {}
        for run, file in files[name].items():
            try:
                different.setdefault(file.untrained_identity, (run, file))
            except (CheckpointError, ValueError) as error:
                _note(failures, error)
            file.forget()
        rows += [
            _Row(row, run, identity, str(file.path), file.untrained, file.forget)
            for identity, (run, file) in different.items()
        ]
    return rows


def _loaded(described: EvaluationSet, img_size: int) -> EvaluationData | Exception:
    """Load a set, or return the error."""
    try:
        return load_set(described, img_size)
    except (ValueError, OSError) as error:
        return error if isinstance(error, ValueError) else ValueError(str(error))


def _fingerprint(described: EvaluationSet) -> str:
    """Hash a set's description and its files' names, sizes and times."""
    if not Path(described.path).is_dir():
        raise FileNotFoundError(
            f'set {described.name!r}: {described.path}: expected a folder, found none'
        )
    facts = file_facts(files_of(described), Path(described.path))
    return digest_of(described.settings, facts)


def _measure(
    store: ResultStore,
    unit: str,
    row: _Row,
    described: EvaluationSet,
    data: EvaluationData,
    settings: MeasurementSettings,
    device: str,
    fingerprint: str,
) -> float:
    """Measure a row on a set in memory and store the results; return the seconds."""
    start = time.perf_counter()
    encoder = row.featurizer(device)

    try:
        results = measure(encoder, data, settings, device)
    except ValueError as error:
        raise ValueError(f'{row.checkpoint or row.name}: {error}') from None

    if device.startswith('cuda'):
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start

    header = dict(
        task=data.task,
        fingerprint=fingerprint,
        groups=None if data.groups is None else data.groups.tolist(),
        images=len(data),
        classes=data.classes,
        names=data.names,
        patch=encoder.patch_size(settings.img_size),
        normalization=encoder.normalization,
        seconds=round(seconds, 2),
        description=asdict(described),
        settings=asdict(settings),
    )
    store.write(unit, header, results)
    return seconds


def _records(
    store: ResultStore,
    unit: str,
    row: _Row,
    described: EvaluationSet,
    settings: MeasurementSettings,
    intervals: dict[tuple[str, str, str], Interval],
) -> list[dict[str, Any]]:
    """Make the rows of the table from one unit of results."""
    read, sums = store.read(unit), store.sums(unit)
    groups = None if read['groups'] is None else np.array(read['groups'], np.int64)
    records = []

    for one in read['results']:
        for score in one['measures']:
            key = (unit, one['array'], score)
            if key not in intervals:
                own = sums[one['array']][None]
                intervals[key] = score_interval(
                    own, SCORES[score], resamples=ROW_RESAMPLES, groups=groups
                )
            records.append(
                dict(
                    name=row.name,
                    run=row.run,
                    set=described.name,
                    input=one['input'],
                    probe=one['probe'],
                    pool=one['pool'],
                    labels=one['labels'],
                    measure=score,
                    **asdict(intervals[key]),
                    images=read['images'],
                    patch=read['patch'],
                    img_size=settings.img_size,
                    normalization=read['normalization'],
                    seconds=read['seconds'],
                    checkpoint=row.checkpoint,
                    unit=unit,
                    fingerprint=read['fingerprint'],
                    settings=settings.digest,
                )
                | one['details']
            )
    return records
