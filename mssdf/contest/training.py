"""Training of one recipe within a budget, on tiles in memory, without MMEngine's runner."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mssdf.contest.tile_stream import TileStream
from mssdf.contest.tiles import Tiles
from mssdf.datasets.transforms.batched_crops import CropSettings
from mssdf.registry import MODELS
from mssdf.utils.randomness import seed_all

from .averages import RunningMeans
from .budget import Budget, Clock
from .method_hooks import RunnerView, build_method_hooks, schedule_length
from .optimizer import BudgetOptimizer
from .peak_memory import peak_memory_mib, reset_peak_memory

SYNCHRONIZE_EVERY = 16  # number of iterations between two waits for a GPU
LOG_POINTS = 10
PHASES = ('crops', 'preprocessor', 'forward', 'backward', 'optimizer')


@dataclass(frozen=True)
class TrainingSettings:
    """Conditions that all recipes of a contest share, and that an entry may override.

    Attributes:
        budget: budget of the training.
        seed: seed of the weights, windows and masks.
        batch_size: number of windows in a batch.
        lr: learning rate at the end of the warm-up; None takes the config's.
        warm_up: share of the budget in which the rate rises.
        crops: geometry and colors of the windows.
        amp: whether the forward pass runs under bfloat16 autocast.
        compiled: whether the transformer layers are compiled.
        device: device of the training.
    """

    budget: Budget
    crops: CropSettings
    seed: int = 0
    batch_size: int = 64
    lr: float | None = None
    warm_up: float = 0.05
    amp: bool = False
    compiled: bool = False
    device: str = 'cpu'


@dataclass
class TrainingResult:
    """A trained model and the record of its training.

    Attributes:
        model: trained model.
        record: numbers and texts for a table.
    """

    model: nn.Module
    record: dict[str, Any]


@dataclass
class PhaseClock:
    """A clock for each part of a step; on a GPU it counts the host's part."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the time of a block."""
        start = self.clock.seconds
        yield
        self.seconds[phase] += self.clock.seconds - start


def total_loss(losses: dict[str, Any]) -> Tensor:
    """Sum all losses, as MMEngine's ``parse_losses`` does, without waiting for the device."""
    parts = [
        torch.stack([each.mean() for each in value]).sum()
        if isinstance(value, (list, tuple))
        else value.mean()
        for key, value in losses.items()
        if 'loss' in key
    ]
    return torch.stack(parts).sum()


def build_model(config: Config, seed: int, device: torch.device) -> nn.Module:
    """Build and initialize a config's model from a seed, in training mode."""
    seed_all(seed)
    with DefaultScope.overwrite_default_scope('mssdf'):
        model = MODELS.build(config.model)
        model.init_weights()
    return model.to(device).train()


def train_recipe(
    config: Config,
    tiles: Tiles,
    settings: TrainingSettings,
    report: Callable[[str], None] = lambda line: None,
) -> TrainingResult:
    """Train a recipe until its budget is used up.

    The learning rate and all schedules of the method follow the used share of the budget.

    Args:
        config: pre-training config, adapted to the tiles.
        tiles: tiles on the host, which are copied to the device.
        settings: conditions of the training.
        report: function that is called with a line at about ten points of the training.

    Returns:
        Trained model and its record.

    Raises:
        ValueError: if the loss is not finite.
    """
    device = torch.device(settings.device)
    reset_peak_memory(device)
    model = build_model(config, settings.seed, device)
    if settings.compiled:
        from mssdf.engine.hooks.compile_layers_hook import compile_layers

        compile_layers(model)
    preprocessor: Any = model.data_preprocessor
    stream = TileStream(
        tiles.to(device),
        list(preprocessor.channels),
        settings.crops,
        settings.batch_size,
        settings.seed,
    )
    training = _Training(config, model, stream, settings, device)
    record = training.run(report)
    return TrainingResult(model, record)


class _Training:
    """A loop over iterations with its state."""

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        stream: TileStream,
        settings: TrainingSettings,
        device: torch.device,
    ) -> None:
        self.model: Any = model
        self.stream = stream
        self.settings = settings
        self.device = device
        self.optimizer = BudgetOptimizer(model, config, settings.lr, settings.warm_up)
        self.hooks = build_method_hooks(config)
        self.runner = RunnerView(model, schedule_length(config))
        self.means = RunningMeans()
        self.log: list[dict[str, Any]] = []
        self.monitor: dict[str, float] = {}

    def run(self, report: Callable[[str], None]) -> dict[str, Any]:
        """Iterate until the budget is used up, and return the record."""
        settings, batch_size = self.settings, self.settings.batch_size
        self._warm_up()

        wall = time.perf_counter()
        clock = Clock(self.device)
        phases = PhaseClock(clock)
        iteration, share, next_look = 0, 0.0, 1

        while share < 1.0:
            self._step(iteration, share, phases)
            iteration += 1

            # The GPU runs ahead of the host, so the clock is only right after a wait.
            if iteration % SYNCHRONIZE_EVERY == 0:
                clock.wait()
            share = settings.budget.share(clock.seconds, iteration * batch_size)

            if share * LOG_POINTS >= next_look:
                clock.wait()
                report(self._look(iteration, share, clock.seconds))
                next_look = int(share * LOG_POINTS) + 1

        clock.wait()
        seconds = clock.seconds
        windows = iteration * batch_size
        return dict(
            iterations=iteration,
            windows=windows,
            seconds=seconds,
            seconds_of=clock.unit,
            wall_seconds=time.perf_counter() - wall,
            windows_per_second=windows / seconds,
            step_seconds={name: value / iteration for name, value in phases.seconds.items()},
            lr=self.optimizer.lr,
            clip_grad=self.optimizer.clip,
            parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            peak_memory_mib=peak_memory_mib(self.device),
            monitor=self.monitor,
            log=self.log,
        )

    def _warm_up(self) -> None:
        """Run a few batches before the clock starts, for libraries and compilers; learn nothing."""
        crops, tiles = self.stream.crops, self.stream.tiles
        modalities, size = self.stream.modalities, self.settings.batch_size
        stream = TileStream(tiles, modalities, crops, size, self.settings.seed)
        for hook in self.hooks:  # schedules move what the warm-up runs
            hook.before_train_iter(self.runner, 0)
        for _ in range(2):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp):
                prepared = self.model.data_preprocessor(stream.next_batch(), True)
                loss = total_loss(self.model(**prepared, mode='loss'))
            loss.backward()
            self.optimizer.optimizer.zero_grad(set_to_none=True)
        seed_all(self.settings.seed + 1)  # masks do not depend on the draws up to here

    def _step(self, iteration: int, share: float, phases: PhaseClock) -> None:
        """Train on one batch."""
        runner: Any = self.runner
        runner.move(iteration, share)
        for hook in self.hooks:
            hook.before_train_iter(runner, iteration)
        with phases('crops'):
            batch = self.stream.next_batch()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp):
            with phases('preprocessor'):
                prepared = self.model.data_preprocessor(batch, True)
            with phases('forward'):
                losses = self.model(**prepared, mode='loss')
                loss = total_loss(losses)
        with phases('backward'):
            loss.backward()
        with phases('optimizer'):
            self.optimizer.step(share)
            for hook in self.hooks:
                hook.after_train_iter(runner, iteration)
        self.means.add({name: value for name, value in losses.items() if torch.is_tensor(value)})

    def _look(self, iteration: int, share: float, seconds: float) -> str:
        """Record the means since the last reading, and format them as a line."""
        means = self.means.take() | self.runner.message_hub.values
        if not math.isfinite(means.get('loss', 0.0)):
            raise ValueError(
                f'iteration {iteration}: expected a finite loss, found {means["loss"]} ({means})'
            )
        windows = iteration * self.settings.batch_size
        self.log.append(dict(share=share, iteration=iteration, windows=windows, **means))
        self.monitor |= {name: value for name, value in means.items() if name != 'loss'}
        shown = ' '.join(f'{name} {value:.4g}' for name, value in means.items())
        return f'{share:4.0%} {windows} windows, {windows / seconds:.1f}/s: {shown}'
