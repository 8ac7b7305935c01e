"""Report of a build as figures, a table and a picture."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.utils.atomic_file import write_atomically

from .alignment import Shift, estimate_shift
from .build_settings import BuildSettings
from .notes import option_of
from .plan import Plan
from .tile import unpack_surface

# Height of a reliable peak above its surroundings, in standard deviations.
CLEAR_PEAK = 3.0
# Difference between a raster's shift and that of the others from which it is suspicious: in
# pixels, and in standard errors.
SUSPICIOUS, ERRORS = 3.0, 2.0
COLUMNS = (
    *('name', 'part', 'status', 'windows', 'dropped', 'bytes'),
    *('pixels', 'valid', 'overlap', 'seconds'),
)


def summarize(
    records: Sequence[Mapping[str, Any]], plan: Plan, settings: BuildSettings
) -> dict[str, Any]:
    """Summarize counts, sizes, shares and shifts over all tiles, as JSON can store them."""
    parts: dict[str, dict[str, Any]] = {}
    for record in records:
        part = parts.setdefault(
            record['part'],
            dict(tiles=0, windows=0, bytes=0, dropped={}, written=0, there=0, failed=0, empty=0),
        )
        part['tiles'] += 1
        part['windows'] += record['windows']
        part['bytes'] += sum(entry['bytes'] for entry in record['files'])
        status = 'empty' if record['status'] == 'dropped' else record['status']
        part[status] += 1
        for reason, number in record['dropped'].items():
            part['dropped'][reason] = part['dropped'].get(reason, 0) + number

    others = [name for name in settings.sources if name != settings.reference]
    return dict(
        parts=parts,
        bands=plan.bands,
        dtypes=plan.dtypes,
        no_overlap=plan.no_overlap,
        refused=plan.refused,
        failed={r['name']: r['error'] for r in records if r['status'] == 'failed'},
        overlap={name: _overlap(records, name, settings.reference) for name in others},
        shift={name: _shift_of(records, name) for name in others},
        fills=_fills(records),
        notes=list(plan.notes),
        by_raster={name: shifts_by_raster(records, name) for name in others},
    )


def _fills(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count, by modality, the heights in all tiles with a value that usually marks a hole."""
    total: dict[str, dict[str, int]] = {}
    for record in records:
        for name, counts in record.get('fills', {}).items():
            known = total.setdefault(name, {})
            for value, count in counts.items():
                known[value] = known.get(value, 0) + count
    return total


def _overlap(records: Sequence[Mapping[str, Any]], name: str, reference: str) -> float | None:
    """Compute the share of the reference's valid pixels where the modality is valid too."""
    pixels = sum(record['valid'].get(reference, 0) for record in records)
    both = sum(record['overlap'].get(name, 0) for record in records)
    return both / pixels if pixels else None


def _shift_of(records: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    shift = estimate_shift(
        [unpack_surface(r['correlations'][name]) for r in records if name in r['correlations']]
    )
    return None if shift is None else asdict(shift)


def shifts_by_raster(records: Sequence[Mapping[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Estimate the shift of each raster of a modality, from tiles almost entirely within it.

    Returns:
        By path: :class:`Shift` as a dictionary, and ``suspicious``: whether the shift is reliable
        and differs by more than three pixels from the median over all rasters, or from zero if
        there are only one or two rasters.
    """
    surfaces: dict[str, list[Any]] = {}
    for record in records:
        path = record['main_raster'].get(name)
        if path is not None and name in record['correlations']:
            surfaces.setdefault(path, []).append(unpack_surface(record['correlations'][name]))

    shifts: dict[str, Shift] = {}
    for path, found in sorted(surfaces.items()):
        shift = estimate_shift(found)
        if shift is not None:
            shifts[path] = shift

    # A systematic shift of all rasters is not suspicious, so each is compared with the median.
    clear = [shift for shift in shifts.values() if shift.peak >= CLEAR_PEAK]
    usual = np.zeros(2)
    if len(clear) > 2:
        usual = np.median([(shift.rows, shift.cols) for shift in clear], axis=0)

    return {
        path: dict(
            asdict(shift),
            suspicious=_is_suspicious(shift, usual),
        )
        for path, shift in shifts.items()
    }


def _is_suspicious(shift: Shift, usual: NDArray[np.float64]) -> bool:
    distance = float(np.hypot(shift.rows - usual[0], shift.cols - usual[1]))
    error = 0.0 if np.isnan(shift.error) else shift.error
    return shift.peak >= CLEAR_PEAK and distance > max(SUSPICIOUS, ERRORS * error)


def describe(summary: Mapping[str, Any]) -> str:
    """Format the summary as a table for a terminal."""
    lines = [
        f'{"":8}{"tiles":>8}{"new":>8}{"there":>8}{"empty":>8}{"failed":>8}'
        f'{"windows":>10}{"dropped":>10}{"MB":>10}'
    ]

    for name, part in sorted(summary['parts'].items()):
        lines.append(
            f'{name:8}{part["tiles"]:8}{part["written"]:8}{part["there"]:8}{part["empty"]:8}'
            f'{part["failed"]:8}{part["windows"]:10}{sum(part["dropped"].values()):10}'
            f'{part["bytes"] / 1e6:10.1f}'
        )
        reasons = sorted(part['dropped'].items(), key=lambda item: -item[1])
        if reasons:
            lines.append('  dropped: ' + ', '.join(f'{n} {reason}' for reason, n in reasons))

    if summary['no_overlap']:
        lines.append(f'{summary["no_overlap"]} tiles lack a required modality altogether')
    for name, share in summary['overlap'].items():
        text = 'no tile' if share is None else f'{share:.1%} of the reference'
        lines.append(f'{name}: valid on {text}; {describe_shift(summary["shift"][name])}')
        for path, shift in summary['by_raster'][name].items():
            if shift['suspicious']:
                lines.append(f'  CHECK {path}: {describe_shift(shift)}')

    for name, counts in summary['fills'].items():
        for value, count in counts.items():
            lines.append(
                f'CHECK {name}: {count} pixels have the height {value}, which usually marks a '
                f'hole: {option_of(name, "nodata")}={value} leaves them out'
            )

    for what in ('refused', 'failed'):
        for path, reason in summary[what].items():
            lines.append(f'{what}: {path}: {reason}')

    return '\n'.join(lines)


def describe_shift(shift: Mapping[str, Any] | None) -> str:
    """Format a shift in one line."""
    if shift is None:
        return 'no edges to compare'
    bound = ', at the limit of what was searched' if shift['at_limit'] else ''
    error = '' if np.isnan(shift['error']) else f' ± {shift["error"]:.1f}'
    return (
        f'edges lie {shift["rows"]:+.1f} rows, {shift["cols"]:+.1f} columns{error} from the '
        f"reference's (peak {shift['peak']:.1f} over {shift['tiles']} tiles{bound})"
    )


def write_reports(
    out: Path, records: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]
) -> list[Path]:
    """Write report.json, tiles.csv and report.png; return their paths."""
    rows = io.StringIO()
    table = csv.writer(rows)
    table.writerow(COLUMNS)
    for record in records:
        table.writerow(
            [
                sum(entry['bytes'] for entry in record['files'])
                if column == 'bytes'
                else _compact(record[column])
                for column in COLUMNS
            ]
        )
    paths = [out / 'report.json', out / 'tiles.csv', out / 'report.png']
    write_atomically(paths[0], json.dumps(summary, indent=1).encode())
    write_atomically(paths[1], rows.getvalue().encode())
    write_atomically(paths[2], draw(records, summary))
    return paths


def _compact(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return '; '.join(f'{key} {number}' for key, number in value.items())


def draw(records: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> bytes:
    """Draw the picture: positions of the tiles, dropped windows, shifts of the modalities."""
    os.environ.setdefault('MPLBACKEND', 'Agg')
    import matplotlib

    matplotlib.use('Agg', force=False)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 5), layout='constrained')
    map_axes, bar_axes, shift_axes = figure.subplots(1, 3)
    _draw_map(map_axes, records)
    _draw_dropped(bar_axes, summary)
    _draw_shifts(shift_axes, records, summary)
    stream = io.BytesIO()
    figure.savefig(stream, format='png', dpi=110)
    return stream.getvalue()


COLORS = dict(train='#4477aa', val='#ee8866', empty='#dddddd', failed='#cc3311')


def _draw_map(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    boxes: dict[str, list[Any]] = {}
    # Tiles of several UTM zones do not fit one map: it shows the zone with most of them.
    codes = [record['crs'] for record in records]
    shown = max(set(codes), key=codes.count) if codes else ''
    for record in records:
        if record['crs'] == shown:
            left, bottom, right, top = record['bounds']
            kind = record['part']
            if record['status'] in ('dropped', 'failed'):
                kind = 'empty' if record['status'] == 'dropped' else 'failed'
            boxes.setdefault(kind, []).append(Rectangle((left, bottom), right - left, top - bottom))
    for kind, patches in boxes.items():
        axes.add_collection(
            PatchCollection(patches, facecolor=COLORS[kind], edgecolor='white', linewidth=0.5)
        )
        axes.plot([], [], 's', color=COLORS[kind], label=f'{kind} ({len(patches)})')
    axes.autoscale_view()
    axes.set_aspect('equal')
    axes.ticklabel_format(useOffset=False, style='plain')
    axes.tick_params(labelsize=7)
    axes.set_title('tiles')
    axes.legend(fontsize=8, loc='upper right')


def _draw_dropped(axes: Any, summary: Mapping[str, Any]) -> None:
    reasons: dict[str, int] = dict(kept=sum(p['windows'] for p in summary['parts'].values()))
    for part in summary['parts'].values():
        for reason, number in part['dropped'].items():
            reasons[reason] = reasons.get(reason, 0) + number
    names = list(reasons)
    bars = axes.barh(names, [reasons[name] for name in names], color='#4477aa')
    axes.bar_label(bars, fontsize=8, padding=2)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title('windows')


def _draw_shifts(
    axes: Any, records: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]
) -> None:
    reach = 1.0

    for name, shift in summary['shift'].items():
        points = [
            estimate_shift([unpack_surface(record['correlations'][name])])
            for record in records
            if name in record['correlations']
        ]
        found = [p for p in points if p is not None and not p.at_limit]
        axes.plot(
            [p.cols for p in found], [p.rows for p in found], '.', alpha=0.4, label=f'{name}, tiles'
        )
        reach = max([reach, *(max(abs(p.cols), abs(p.rows)) for p in found)])

        if shift is not None:
            axes.plot(shift['cols'], shift['rows'], 'k+', ms=12, label=f'{name}, all together')
        for path, raster in summary['by_raster'][name].items():
            if raster['suspicious']:
                axes.annotate(Path(path).name, (raster['cols'], raster['rows']), fontsize=7)
                axes.plot(raster['cols'], raster['rows'], 'rx')

    axes.set_xlim(-reach * 1.2, reach * 1.2)
    axes.set_ylim(reach * 1.2, -reach * 1.2)
    axes.axhline(0, color='gray', lw=0.5)
    axes.axvline(0, color='gray', lw=0.5)
    axes.set_aspect('equal')
    axes.set_xlabel('columns')
    axes.set_ylabel('rows')
    axes.set_title('shift of edges against the reference, pixels')
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
