"""Measure training pairs per second and peak memory of MSSDF's recipes and mmpretrain's MAE.

Each recipe runs in a process of its own, in turns, so that a change of the machine's speed affects
all. The methods do different work: MAE encodes a quarter of one modality's patches and decodes
them once; MSSDF does so for two modalities, and its teacher sees both completely.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine import Config
from mmengine.registry import init_default_scope

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {
    'MSSDF (ours)': 'mssdf_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py',
    'MSSDF (paper)': 'mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py',
    'MAE (mmpretrain)': 'mae_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-rgb-320.py',
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--arch', default='base', help="architecture of mmpretrain's ViT; MAE has base only"
    )
    parser.add_argument('--batch-size', type=int, default=4, help='number of windows in a batch')
    parser.add_argument('--steps', type=int, default=5, help='number of counted steps per turn')
    parser.add_argument('--warm-up', type=int, default=2, help='number of uncounted steps per turn')
    parser.add_argument('--turns', type=int, default=2, help='number of turns')
    parser.add_argument('--threads', type=int, default=2, help='number of CPU threads')
    parser.add_argument('--device', default='cpu', help='device of the measurement')

    parser.add_argument(
        '--amp',
        choices=['bfloat16', 'float16'],
        default=None,
        help='number type of autocast (default: no autocast)',
    )
    parser.add_argument('--compile', action='store_true', help='compile the layers of the encoder')
    parser.add_argument(
        '--recipes',
        nargs='+',
        choices=list(RECIPES),
        default=list(RECIPES),
        help='recipes to measure',
    )

    # The option by which this script starts itself for one recipe.
    parser.add_argument('--one', choices=list(RECIPES), help=argparse.SUPPRESS)
    return parser.parse_args()


def synthetic_batch(batch_size: int, size: int) -> dict:
    """Make RGB in uint8 and a DSM in float32, in the form of the collate function."""
    shape = (batch_size, 1, size, size)
    valid = torch.ones(shape, dtype=torch.bool)
    return dict(
        inputs=dict(
            rgb=torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8),
            dsm=torch.rand(shape) * 40,
        ),
        valid=dict(rgb=valid, dsm=valid.clone()),
        data_samples=None,
    )


def measure(args: argparse.Namespace) -> dict:
    """Train a few steps of one recipe in this process; return seconds and peak memory."""
    from mssdf.registry import MODELS

    torch.set_num_threads(args.threads)
    init_default_scope('mssdf')
    config = Config.fromfile(ROOT / 'configs' / 'pretrain' / RECIPES[args.one])
    model_config = config.model
    if 'MSSDF' in args.one:
        model_config.backbone.arch = args.arch
        model_config.monitor_interval = 0
    else:  # the decoder needs the modality that it reads
        model_config.data_preprocessor.modalities = dict(
            rgb=config.modalities.rgb, dsm=config.modalities.dsm
        )
    model = MODELS.build(model_config).to(args.device).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=args.device != 'cpu')
    if args.compile:
        model.backbone.layers.compile()
    batch = synthetic_batch(args.batch_size, 320)
    if hasattr(model.data_preprocessor, 'cross_modal_ratio'):
        model.data_preprocessor.cross_modal_ratio = 0.1

    def step() -> None:
        with torch.autocast(
            torch.device(args.device).type,
            dtype=getattr(torch, args.amp or 'bfloat16'),
            enabled=args.amp is not None,
        ):
            losses = model(**model.data_preprocessor(batch, True), mode='loss')
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if hasattr(model, 'update_teacher'):
            model.update_teacher(0.996)

    seconds = []
    for index in range(args.warm_up + args.steps):
        start = time.perf_counter()
        step()
        if args.device != 'cpu':
            torch.cuda.synchronize()
        if index >= args.warm_up:
            seconds.append(time.perf_counter() - start)
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if args.device == 'cpu'
        else torch.cuda.max_memory_allocated() / 2**20
    )
    return dict(seconds=seconds, peak_mib=peak)


def main() -> None:
    """Run the recipes in turns and print a table."""
    args = parse_args()
    if args.one:
        print(json.dumps(measure(args)))
        return

    device = torch.cuda.get_device_name() if args.device != 'cpu' else platform.machine()
    print(
        f'{device}, torch {torch.__version__}, {args.threads} threads; ViT {args.arch}, 320 px, '
        f'batch {args.batch_size}, {args.amp or "float32"}{", compiled" if args.compile else ""}; '
        f'{args.turns} turns of {args.steps} steps'
    )

    found: dict[str, list[dict]] = {name: [] for name in args.recipes}
    for _ in range(args.turns):
        for name in args.recipes:
            output = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], '--one', name],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            found[name].append(json.loads(output.strip().splitlines()[-1]))

    memory = 'peak process memory' if args.device == 'cpu' else 'peak device memory'
    print(f'{"recipe":18s} {"pairs/s":>9s} {"s/step":>8s}  {memory} (MiB)')

    for name, runs in found.items():
        seconds = statistics.median(second for run in runs for second in run['seconds'])
        peak = max(run['peak_mib'] for run in runs)
        print(f'{name:18s} {args.batch_size / seconds:9.2f} {seconds:8.3f}  {peak:.0f}')


if __name__ == '__main__':
    main()
