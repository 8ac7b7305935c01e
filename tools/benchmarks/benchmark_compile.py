"""Count what torch.compile does to the pre-training step: graphs, graph breaks, recompilations.

Runs a config's model on random windows, first uncompiled, then with its layers compiled (as by
mssdf.CompileLayersHook) or with its whole forward (as by MMEngine's key `compile`), and counts.
The backend aot_eager generates no code, so that counting is fast on any machine.

Example:
  python tools/benchmarks/benchmark_compile.py configs/pretrain/mssdf_vit-t-p16_quick-start.py
"""

import argparse
import sys
import time
from typing import Any

import torch

from mssdf.cli.configs import read_config
from mssdf.errors import UsageError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='pre-training config of MSSDF')
    parser.add_argument(
        '--what',
        choices=('layers', 'forward'),
        default='layers',
        help='part of the model that is compiled',
    )
    parser.add_argument('--backend', default='aot_eager', help='backend of torch.compile')
    parser.add_argument('--batch', type=int, default=2, help='number of windows in a batch')
    parser.add_argument('--steps', type=int, default=6, help='number of steps')
    parser.add_argument(
        '--cross-modal', type=float, nargs='*', default=[0.0, 0.1, 0.2], metavar='P',
        help='values of p that the steps go through: each gives sequences of other lengths',
    )  # fmt: skip
    return parser.parse_args(arguments)


def random_batch(model: Any, batch: int) -> dict[str, Any]:
    """Make windows of noise with the size and bands that the model takes."""
    size = model.backbone.img_size[0]
    shape = (batch, 1, size, size)
    return dict(
        inputs={
            name: torch.rand(batch, bands, size, size) * 100
            for name, bands in model.data_preprocessor.channels.items()
        },
        valid={name: torch.ones(shape).bool() for name in model.data_preprocessor.channels},
        data_samples=None,
    )


def run(model: Any, args: argparse.Namespace) -> list[float]:
    """Run forward and backward passes; return the seconds of each step."""
    torch.manual_seed(0)
    data, seconds = random_batch(model, args.batch), []
    for step in range(args.steps):
        model.iteration = step
        model.data_preprocessor.cross_modal_ratio = args.cross_modal[step % len(args.cross_modal)]
        start = time.perf_counter()
        inputs = model.data_preprocessor(data, training=True)
        model(**inputs, mode='loss')['loss'].backward()
        seconds.append(time.perf_counter() - start)
        model.zero_grad()
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Count and print; return 2 for a wrong input."""
    args = parse_args(arguments)
    from torch._dynamo.utils import counters

    import mssdf  # noqa: F401
    from mssdf.engine.hooks.compile_layers_hook import compile_layers
    from mssdf.registry import MODELS

    try:
        config = read_config(args.config)
    except UsageError as error:
        print(f'benchmark_compile.py: {error}', file=sys.stderr)
        return 2
    model: Any = MODELS.build(config.model)
    model.init_weights()
    model.train()
    plain = run(model, args)
    if args.what == 'layers':
        compile_layers(model, backend=args.backend)
    else:
        model.forward = torch.compile(model.forward, backend=args.backend)
    counters.clear()
    compiled = run(model, args)
    breaks = counters['graph_break']
    print(f'{args.what}, {args.backend}, {args.steps} steps')
    print(f'graphs: {counters["stats"]["unique_graphs"]}')
    print(f'graph breaks: {sum(breaks.values())} of {len(breaks)} kinds')
    for reason, count in breaks.most_common():
        print(f'  {count} x {reason.splitlines()[0][:150]}')
    print(f'frames: {dict(counters["frames"])}')
    for name, values in (('plain', plain), ('compiled', compiled)):
        print(f'seconds of each step, {name}: {" ".join(f"{value:.2f}" for value in values)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
