"""Log lines with as many digits as a value needs."""

from mmengine.runner import LogProcessor, Runner

from ..registry import LOG_PROCESSORS


class Compact(float):
    """A number that shows four significant digits where a fixed number of decimals is asked for.

    ``visible_rgb: 100`` and ``hsic: 0.0003142`` instead of ``100.0000`` and ``0.0003``.
    """

    def __format__(self, spec: str) -> str:
        if not spec.endswith('f'):
            return super().__format__(spec)
        value = float(self)
        return f'{value:.0f}' if 1000 <= abs(value) < 1e9 else f'{value:.4g}'


@LOG_PROCESSORS.register_module()
class CompactLogProcessor(LogProcessor):
    """MMEngine's log processor with values of very different size made readable."""

    def _collect_scalars(
        self, custom_cfg: list[dict], runner: Runner, mode: str, reserve_prefix: bool = False
    ) -> dict:
        scalars = super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)
        return {
            key: Compact(value) if isinstance(value, float) else value
            for key, value in scalars.items()
        }
