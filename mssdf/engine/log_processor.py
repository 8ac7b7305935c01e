"""Formats of log lines, with as many digits as a value needs."""

from typing import Any

from mmengine.runner import LogProcessor, Runner

from mssdf.errors import ConfigError
from mssdf.registry import LOG_PROCESSORS


class Compact(float):
    """A number shown with four significant digits where fixed decimals are asked for.

    ``visible_rgb: 100`` and ``hsic: 0.0003142`` instead of ``100.0000`` and ``0.0003``.
    """

    def __format__(self, spec: str) -> str:
        if not spec.endswith('f'):
            return super().__format__(spec)
        value = float(self)
        return f'{value:.0f}' if 1000 <= abs(value) < 1e9 else f'{value:.4g}'


@LOG_PROCESSORS.register_module()
class CompactLogProcessor(LogProcessor):
    """A log processor that keeps values of very different size readable.

    It also bounds the history: MMEngine keeps the last million values of every scalar and copies
    all of them in each iteration, which costs hundreds of megabytes in a long run and, in the end,
    more time than a training step.

    Args:
        history_size: number of values kept of each scalar, at least ``window_size``; all are kept
            where ``custom_cfg`` asks for an average over an epoch or the whole run.
        **kwargs: arguments for ``mmengine.runner.LogProcessor``.

    Raises:
        ValueError: if fewer values are kept than a line of the log averages.
    """

    def __init__(self, history_size: int = 10_000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if history_size < self.window_size:
            raise ConfigError(
                'log_processor.history_size',
                f'at least window_size={self.window_size}',
                history_size,
            )
        windows = [config.get('window_size', 0) for config in self.custom_cfg]
        self.history_size: int | None = history_size
        if any(isinstance(window, str) for window in windows):
            self.history_size = None
        elif windows:
            self.history_size = max(history_size, *windows)

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Return MMEngine's log line and bound the history of each scalar."""
        result = super().get_log_after_iter(runner, batch_idx, mode)
        if self.history_size is not None:
            for history in runner.message_hub.log_scalars.values():
                history.max_length = self.history_size  # takes effect at the next value
        return result

    def _collect_scalars(
        self, custom_cfg: list[dict], runner: Runner, mode: str, reserve_prefix: bool = False
    ) -> dict:
        scalars = super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)
        return {
            key: Compact(value) if isinstance(value, float) else value
            for key, value in scalars.items()
        }
