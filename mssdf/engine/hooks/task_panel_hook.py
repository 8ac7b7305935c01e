"""Pictures of a downstream task: input, truth, prediction and error."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mssdf.errors import ConfigError, Words
from mssdf.registry import HOOKS
from mssdf.utils.atomic_file import write_atomically
from mssdf.visualization import figure_to_array
from mssdf.visualization.panel import draw_panel
from mssdf.visualization.task_rows import Inputs, kind_of, legend_of, sample_row

ROWS = 6  # number of samples in one picture


@HOOKS.register_module()
class TaskPanelHook(Hook):
    """A hook that draws some samples of each validation and test to ``panels/*.png``.

    The samples are spread evenly over the dataset (over the main process's share of it) and the
    same each time. It serves models of mmpretrain, mmseg, mmdet and mmrotate. The picture goes to
    the visualizer too.

    Args:
        num: number of samples per validation or test; 0 draws nothing.
        interval: number of validations from one picture to the next; every test is drawn.
        out_dir: folder of the pictures; None takes ``panels`` in the work directory.
        dpi: resolution of the picture, in dots per inch.

    Raises:
        ValueError: if ``num`` is negative or ``interval`` is below 1.
    """

    priority = 'LOW'

    def __init__(
        self, num: int = 4, interval: int = 1, out_dir: str | None = None, dpi: int = 110
    ) -> None:
        if num < 0 or interval < 1:
            raise ConfigError(
                'TaskPanelHook',
                'num of at least 0 and interval of at least 1',
                Words(f'num={num}, interval={interval}'),
            )
        self.num = num
        self.interval = interval
        self.out_dir = out_dir
        self.dpi = dpi
        self._validations = 0
        self._passed = 0
        self._wanted: set[int] = set()
        self._seen: list[tuple[Any, Any]] = []

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the samples of a validation."""
        self._validations += 1
        drawn = self._validations % self.interval == 0
        self._choose(len(runner.val_dataloader.dataset) if drawn else 0)

    def before_test_epoch(self, runner: Runner) -> None:
        """Choose the samples of a test."""
        self._choose(len(runner.test_dataloader.dataset))

    def _choose(self, length: int) -> None:
        share = -(-length // get_world_size())
        count = self.num if share and is_main_process() else 0
        self._wanted = {round(place) for place in np.linspace(0, share - 1, count).tolist()}
        self._seen, self._passed = [], 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Keep the chosen samples."""
        self._keep(data_batch, outputs)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Keep the chosen samples."""
        self._keep(data_batch, outputs)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the samples of a validation."""
        step = f'{"iter" if runner.iter else "start"}_{runner.iter:06d}'
        meta = runner.val_dataloader.dataset.metainfo
        self._draw(runner, meta, f'val_{step}', metrics, runner.iter)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the samples of a test."""
        # The step is 0: runner.iter would build the train loop and so read the training data.
        self._draw(runner, runner.test_dataloader.dataset.metainfo, 'test', metrics, 0)

    def _keep(self, data_batch: Any, outputs: Sequence[Any] | None) -> None:
        if not self._wanted or not data_batch or outputs is None:
            return
        inputs = data_batch['inputs']
        if isinstance(inputs, (list, tuple)) and isinstance(inputs[0], (list, tuple)):
            inputs = inputs[0]  # the image without augmentation
        for one, sample in zip(inputs, outputs, strict=False):
            if self._passed in self._wanted:
                self._seen.append((one, sample.cpu()))
            self._passed += 1

    def _draw(
        self, runner: Runner, meta: dict, name: str, metrics: dict[str, float] | None, step: int
    ) -> None:
        """Draw the samples that were kept, in pictures of at most six rows."""
        seen, self._seen = self._seen, []
        if not seen:
            return

        reading = Inputs.of(runner.model)
        rows = [sample_row(inputs, sample, meta, reading) for inputs, sample in seen]
        title = runner.experiment_name.removesuffix(f'_{runner.timestamp}')
        kind = kind_of(seen[0][1], reading.num_dates)

        scores = [
            f'{key} {value:.4g}'
            for key, value in (metrics or {}).items()
            if isinstance(value, (int, float))
        ]

        folder = Path(self.out_dir or Path(runner.work_dir) / 'panels')
        pages = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
        for number, page in enumerate(pages, 1):
            figure = draw_panel(page, title, legend_of(kind, meta, page), '   '.join(scores))
            picture = figure_to_array(figure, self.dpi)
            content = io.BytesIO()
            Image.fromarray(picture).save(content, 'PNG')
            suffix = f'_{number:03d}' if len(pages) > 1 else ''
            write_atomically(folder / f'{name}{suffix}.png', content.getvalue())
            if number == 1:
                runner.visualizer.add_image(name.split('_')[0], picture, step)

        runner.logger.info(f'Picture of {len(rows)} samples: {folder / name}*.png')
