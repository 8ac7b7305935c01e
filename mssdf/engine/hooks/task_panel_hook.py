"""Pictures of a task: input, truth, prediction and error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mssdf.registry import HOOKS
from mssdf.visualization import figure_to_array
from mssdf.visualization.panel import draw_panel
from mssdf.visualization.task_rows import kind_of, legend_of, sample_row

from .progress_hook import unwrap


@HOOKS.register_module()
class TaskPanelHook(Hook):
    """Draw the first samples of each validation and test to ``panels/*.png``.

    For models of mmpretrain, mmseg, mmdet and mmrotate. The picture goes to the visualizer too.

    Args:
        num: samples per validation or test; 0 draws nothing.
        out_dir: folder; ``panels`` in the work directory if None.
        dpi: of the picture.

    Raises:
        ValueError: for a negative number.
    """

    priority = 'LOW'

    def __init__(self, num: int = 4, out_dir: str | None = None, dpi: int = 110) -> None:
        if num < 0:
            raise ValueError(f'TaskPanelHook.num: expected at least 0, found {num}')
        self.num = num
        self.out_dir = out_dir
        self.dpi = dpi
        self._seen: list[tuple[Any, Any]] = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Keep the first samples."""
        self._keep(data_batch, outputs)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Keep the first samples."""
        self._keep(data_batch, outputs)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw."""
        step = f'{"iter" if runner.iter else "start"}_{runner.iter:06d}'
        self._draw(runner, runner.val_dataloader.dataset.metainfo, f'val_{step}', metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw."""
        self._draw(runner, runner.test_dataloader.dataset.metainfo, 'test', metrics)

    def _keep(self, data_batch: Any, outputs: Sequence[Any] | None) -> None:
        if not is_main_process() or len(self._seen) >= self.num or not data_batch:
            return
        inputs = data_batch['inputs']
        if isinstance(inputs, (list, tuple)) and isinstance(inputs[0], (list, tuple)):
            inputs = inputs[0]  # of the augmented ones, the plain one
        for one, sample in zip(inputs, outputs or (), strict=False):
            if len(self._seen) < self.num:
                self._seen.append((one, sample.cpu()))

    def _draw(
        self, runner: Runner, meta: dict, name: str, metrics: dict[str, float] | None
    ) -> None:
        seen, self._seen = self._seen, []
        if not seen:
            return
        model = unwrap(runner.model)
        preprocessor = getattr(model, 'module', model).data_preprocessor
        bgr = bool(
            getattr(preprocessor, '_channel_conversion', False)
            or getattr(preprocessor, 'to_rgb', False)
        )
        rows = [sample_row(inputs, sample, meta, bgr) for inputs, sample in seen]
        scores = [
            f'{key} {value:.4g}' for key, value in (metrics or {}).items() if _is_score(value)
        ]
        title = runner.experiment_name.removesuffix(f'_{runner.timestamp}')
        legend = legend_of(kind_of(seen[0][1]), meta)
        figure = draw_panel(rows, title, legend, '   '.join(scores))
        picture = figure_to_array(figure, self.dpi)
        folder = Path(self.out_dir or Path(runner.work_dir) / 'panels')
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'{name}.png'
        Image.fromarray(picture).save(path)
        runner.visualizer.add_image(name.split('_')[0], picture, runner.iter)
        runner.logger.info(f'Picture of {len(rows)} samples: {path}')


def _is_score(value: Any) -> bool:
    return isinstance(value, (int, float))
