"""Measuring several encoders on several sets, resumable."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mssdf.utils.fingerprints import file_facts

from .baselines import ImageStatistics, RandomConvolutions
from .bootstrap import Interval, score_interval
from .data import EvaluationData
from .encoders import EncoderFile
from .featurizer import Featurizer
from .measuring import measure
from .reading import files_of, load_set
from .scores import SCORES
from .sets import EvaluationSet, resolve_sets
from .settings import Settings, digest_of
from .store import ResultStore
from .table import FeatureTable

UNTRAINED, STATISTICS, CONVOLUTIONS = 'untrained', 'image statistics', 'random convolutions'
ROW_RESAMPLES = 1000

SetLike = str | Mapping[str, Any] | EvaluationSet
EncoderLike = str | Path | EncoderFile


@dataclass
class _Row:
    """One seed of a row: how to build it, and what its figures depend on."""

    name: str
    run: int
    identity: str
    checkpoint: str
    build: Callable[[], Any]
    forget: Callable[[], None] = lambda: None
    built: list[Any] = field(default_factory=list)

    def featurizer(self, device: str) -> Featurizer:
        """The encoder, built once."""
        if not self.built:
            encoder = self.build()
            self.built.append(encoder.to(device) if hasattr(encoder, 'to') else encoder)
        return self.built[0]

    def release(self) -> None:
        """Free the encoder and its weights."""
        self.built.clear()
        self.forget()


def evaluate_encoders(
    encoders: Mapping[str, Sequence[EncoderLike] | EncoderLike],
    sets: Sequence[SetLike],
    out: str | Path,
    settings: Settings | None = None,
    baselines: bool = True,
    device: str = 'cpu',
    progress: Callable[[str], None] = print,
    against: str | None = None,
) -> FeatureTable:
    """Measure frozen features of encoders on sets; what is in ``out`` already is not repeated.

    Args:
        encoders: for each row's name its checkpoints, one for each seed.
        sets: evaluation sets, see :mod:`~mssdf.evaluation.frozen.sets`.
        out: folder of the results.
        settings: how to measure.
        baselines: whether the untrained encoder (of each architecture and seed), image statistics
            and random convolutions stand in the table, too.
        device: device of the encoders and the probes.
        progress: function that takes lines of progress.
        against: row that the others will be compared with, checked before anything is measured.

    Returns:
        The table, with the rows in the given order, then the baselines. A set that cannot be read
        or an encoder that cannot be measured on a set is left out, and named in its ``failures``.

    Raises:
        CheckpointError: if a checkpoint cannot be read or does not fill its encoder.
        FileNotFoundError: if the folder of a set is missing.
        ValueError: if there is nothing to measure or to compare with, two seeds of a row are the
            same weights, or no measurement was possible.
    """
    settings = settings or Settings()
    described = resolve_sets(sets)
    rows = _rows(encoders, baselines)
    if not described or not rows:
        raise ValueError('expected at least one set and one encoder, found none')
    names = list(dict.fromkeys(row.name for row in rows))
    if against is not None and against not in names:
        raise ValueError(f'against: expected one of {names}, found {against!r}')
    store = ResultStore(out)
    table = FeatureTable(store, settings=settings.digest)
    fingerprints = {one.name: _fingerprint(one) for one in described}

    def unit_of(row: _Row, one: EvaluationSet) -> str:
        return digest_of(row.identity, fingerprints[one.name], settings.digest)

    missing = {unit_of(row, one) for row in rows for one in described}
    missing = {unit for unit in missing if not store.has(unit)}
    progress(f'{len(missing)} of {len(rows) * len(described)} measurements to do')
    loaded: dict[str, EvaluationData | Exception] = {}
    done = 0
    intervals: dict[tuple[str, str, str], Interval] = {}
    records: list[dict[str, Any]] = []
    header = dict(latest=settings.digest, conditions=asdict(settings))
    for row in rows:
        for one in described:
            unit = unit_of(row, one)
            if not store.has(unit):
                done += 1
                if one.name not in loaded:
                    loaded[one.name] = _loaded(one, settings.img_size)
                data = loaded[one.name]
                try:
                    if isinstance(data, Exception):
                        raise data
                    seconds = _measure(
                        store, unit, row, one, data, settings, device, fingerprints[one.name]
                    )
                except (ValueError, FileNotFoundError) as error:
                    # the other rows and sets do not depend on it
                    if str(error) not in table.failures:
                        table.failures.append(str(error))
                        progress(f'[{done}/{len(missing)}] {row.name}, {one.name}: {error}')
                    continue
                progress(
                    f'[{done}/{len(missing)}] {row.name}, run {row.run}, {one.name}: '
                    f'{seconds:.1f} s'
                )
            table.units.setdefault(row.name, {}).setdefault(one.name, []).append(unit)
            records += _records(store, unit, row, one, settings, intervals)
            if unit in missing:
                store.write_table(records, header)
        row.release()
    if not table.units:
        raise ValueError(table.failures[0])
    store.write_table(records, header)
    return table


def build_featurizers(
    encoders: Mapping[str, Sequence[EncoderLike] | EncoderLike],
    baselines: bool = True,
    device: str = 'cpu',
) -> dict[str, Featurizer]:
    """Build the first seed of every row of :func:`evaluate_encoders`, by name."""
    rows = [row for row in _rows(encoders, baselines) if row.run == 0]
    return {row.name: row.featurizer(device) for row in rows}


def _rows(
    encoders: Mapping[str, Sequence[EncoderLike] | EncoderLike], baselines: bool
) -> list[_Row]:
    files = {name: [_file(one) for one in _listed(given)] for name, given in encoders.items()}
    empty = [name for name, given in files.items() if not given]
    reserved = {UNTRAINED, STATISTICS, CONVOLUTIONS} & set(files) if baselines else set()
    if empty or reserved:
        raise ValueError(
            f'encoders: expected at least one checkpoint for each name, and no name of a baseline; '
            f'found none for {empty}, reserved {sorted(reserved)}'
        )
    for name, given in files.items():
        seen: dict[str, EncoderFile] = {}
        for file in given:
            first = seen.setdefault(file.identity, file)
            if first is not file:
                raise ValueError(
                    f'{name}: expected a checkpoint of each seed, found the same weights in '
                    f'{first.path} and {file.path}'
                )
    rows = [
        _Row(name, run, file.identity, str(file.path), file.trained, file.forget)
        for name, given in files.items()
        for run, file in enumerate(given)
    ]
    if not baselines:
        return rows
    rows += _untrained(files)
    rows.append(_Row(STATISTICS, 0, STATISTICS, '', ImageStatistics))
    rows.append(_Row(CONVOLUTIONS, 0, CONVOLUTIONS, '', RandomConvolutions))
    return rows


def _untrained(files: Mapping[str, Sequence[EncoderFile]]) -> list[_Row]:
    """A row for each architecture, of the encoder that takes most modalities."""
    chosen: dict[str, tuple[int, str]] = {}
    for name, given in files.items():
        count, architecture = given[0].num_modalities, given[0].architecture
        if architecture not in chosen or count > chosen[architecture][0]:
            chosen[architecture] = (count, name)
    rows = []
    for _, name in chosen.values():
        row = UNTRAINED if len(chosen) == 1 else f'{UNTRAINED} ({name})'
        different: dict[str, EncoderFile] = {}
        for file in files[name]:
            different.setdefault(file.untrained_identity, file)
            file.forget()
        rows += [
            _Row(row, run, identity, str(file.path), file.untrained, file.forget)
            for run, (identity, file) in enumerate(different.items())
        ]
    return rows


def _listed(given: Sequence[EncoderLike] | EncoderLike) -> Iterable[EncoderLike]:
    return [given] if isinstance(given, str | Path | EncoderFile) else given


def _file(given: EncoderLike) -> EncoderFile:
    return replace(given) if isinstance(given, EncoderFile) else EncoderFile(Path(given))


def _loaded(described: EvaluationSet, img_size: int) -> EvaluationData | Exception:
    """The set, or why it cannot be read."""
    try:
        return load_set(described, img_size)
    except (ValueError, OSError) as error:
        return error if isinstance(error, ValueError) else ValueError(str(error))


def _fingerprint(described: EvaluationSet) -> str:
    """Hash of a set's description and of its files' names, sizes and times."""
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
    settings: Settings,
    device: str,
    fingerprint: str,
) -> float:
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
    settings: Settings,
    intervals: dict[tuple[str, str, str], Interval],
) -> list[dict[str, Any]]:
    """Rows of the table that a unit gives."""
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
