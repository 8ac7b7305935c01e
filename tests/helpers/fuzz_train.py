"""Pre-training of a small model on damaged files that could be opened; see test_raster_fuzz.py.

Usage: ``fuzz_train.py JOBS.json WORK_DIR``. It prints a line of JSON with the training's result.
"""

import json
import sys
from pathlib import Path

import torch
from mmengine.runner import Runner
from tiny_pretraining import non_finite, tiny_pretraining

import mssdf.models  # noqa: F401  registers


def main() -> None:
    jobs, work_dir = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]
    torch.set_num_threads(1)
    scenes = [
        {**job['good'], job['kind']: job['path'], 'name': Path(job['path']).stem} for job in jobs
    ]
    config = tiny_pretraining(scenes, work_dir, reading=dict(max_failed_share=0.9, attempts=2))
    config.log_level = 'WARNING'

    runner = Runner.from_cfg(config)
    model = runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    dataset = runner.train_dataloader.dataset

    result = dict(
        iterations=runner.iter,
        losses=[float(loss) for loss in losses],
        non_finite=non_finite(model, runner.optim_wrapper.optimizer),
        scenes=len(dataset.scenes),
        failed_files=len(dataset._failures.failed),
        reads=dataset._failures.reads,
    )
    print(json.dumps(result))


if __name__ == '__main__':
    main()
