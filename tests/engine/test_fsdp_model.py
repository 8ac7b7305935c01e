"""Sharded models outside of a run: mixed precision, loss scaling, and what needs one process."""

import os
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from ranks import equal_config, free_port
from torch import Tensor

from mssdf.engine.fsdp_model import gather, is_sharded_model, part_of, shard_model
from mssdf.engine.fsdp_strategy import FSDPStrategy
from mssdf.engine.process_group import leave_process_group


def build(config: dict):
    import mssdf.models  # noqa: F401

    torch.manual_seed(0)
    model = MODELS.build(deepcopy(config))
    model.init_weights()
    return model.train()


def batch(model, rank: int, world_size: int):
    """This rank's half of four windows."""
    torch.manual_seed(1)
    windows = torch.rand(4, 4, 64, 64) * 200
    inputs = dict(rgb=windows[rank::world_size, :3], dsm=windows[rank::world_size, 3:])
    valid = {name: torch.ones_like(image[:, :1]).bool() for name, image in inputs.items()}
    model.data_preprocessor.seed_next_batch(5)
    return model.data_preprocessor(dict(inputs=inputs, valid=valid))['inputs']


def step(model, rank: int, world_size: int, autocast: bool) -> float:
    """One step of SGD in bfloat16, the loss scaled as for float16."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
    inputs = batch(model, rank, world_size)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        loss = model(inputs, None, mode='loss')['loss']
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    return loss.item()


def worker(rank: int, port: int, config: dict, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(CUDA_VISIBLE_DEVICES='')
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    model = build(config)
    whole = dict(model.state_dict())
    whole = {name: value.clone() for name, value in whole.items()}
    shard_model(model, param_dtype='bfloat16', reduce_dtype='float32')
    assert is_sharded_model(model)
    for name, value in model.state_dict().items():
        part = part_of(whole[name], value)
        local = getattr(part, 'to_local', lambda part=part: part)()
        assert torch.equal(local, getattr(value, 'to_local', lambda value=value: value)())
    mean = torch.tensor(step(model, rank, 2, autocast=True))
    dist.all_reduce(mean)
    weights = gather(model.state_dict())
    assert bool(weights) == (rank == 0)
    assert all(value.dtype == whole[name].dtype for name, value in weights.items())
    model.update_teacher(0.5)
    teacher = gather(model.teacher.state_dict())
    if rank == 0:
        torch.save((float(mean) / 2, weights, teacher), Path(folder) / 'results.pth')
    dist.barrier()  # or one may leave in the middle of what the other still asks of it
    leave_process_group()


def clipped_step(model, rank: int, world_size: int) -> float:
    """One step of SGD, its gradient cut to a norm that it exceeds; returns the norm logged."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=0.1))
    wrapper.update_params(model(batch(model, rank, world_size), None, mode='loss')['loss'])
    return float(wrapper.message_hub.get_scalar('train/grad_norm').current())


def clipping_worker(rank: int, port: int, config: dict, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(CUDA_VISIBLE_DEVICES='')
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    model = build(config)
    shard_model(model)
    norm = clipped_step(model, rank, 2)
    weights = gather(model.state_dict())
    torch.save((norm, weights), Path(folder) / f'clipped{rank}.pth')
    dist.barrier()
    leave_process_group()


def test_gradients_are_clipped_by_their_norm_over_all_shards(tiny_config, tmp_path):
    config = equal_config(tiny_config).model.to_dict()
    mp.spawn(clipping_worker, (free_port(), config, str(tmp_path)), nprocs=2)
    model = build(config)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    before = {name: model.state_dict()[name].clone() for name in trained}
    norm = clipped_step(model, 0, 1)
    step = change(model.state_dict(), before)
    assert norm > 0.2
    assert step.norm() == pytest.approx(0.1, rel=1e-3)

    results = [torch.load(tmp_path / f'clipped{rank}.pth', weights_only=True) for rank in (0, 1)]
    assert (change(results[0][1], before) - step).norm() < 1e-3 * step.norm()
    for found, _ in results:
        assert found == pytest.approx(norm, rel=1e-4)


def change(after: dict[str, Tensor], before: dict[str, Tensor]) -> Tensor:
    return torch.cat([(after[name] - before[name]).flatten() for name in before])


def test_mixed_precision_loss_scaling_and_teacher(tiny_config, tmp_path):
    """A step in bfloat16 on two ranks goes where one process goes, in bfloat16 and in float32."""
    config = equal_config(tiny_config).model.to_dict()
    mp.spawn(worker, (free_port(), config, str(tmp_path)), nprocs=2)
    loss, weights, teacher = torch.load(tmp_path / 'results.pth', weights_only=True)
    changes, losses = [], []
    for autocast in (True, False):
        model = build(config)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        losses.append(step(model, 0, 1, autocast))
        trained = [name for name, p in model.named_parameters() if p.requires_grad]
        after = model.state_dict()
        changes.append(change({n: after[n] for n in trained}, {n: before[n] for n in trained}))
    assert loss == pytest.approx(losses[0], rel=2e-3)
    found = change({n: weights[n] for n in trained}, {n: before[n] for n in trained})
    for expected, tolerance in zip(changes, (0.05, 0.1), strict=True):
        assert (found - expected).norm() / expected.norm() < tolerance
    # half way between what it was and the student, in float32
    for name, value in teacher.items():
        expected = (before[f'teacher.{name}'] + weights[name]) / 2
        torch.testing.assert_close(value, expected, atol=1e-7, rtol=1e-6, msg=name)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(layers=['SwinBlock']), r'strategy\.layers: expected class names of layers of Linear'),
        (dict(layers=['Linear'], param_dtype='half8'), r'strategy\.param_dtype: expected a number'),
    ],
)
def test_wrong_settings(settings, message):
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{free_port()}', rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match=message):
            shard_model(torch.nn.Linear(2, 2), **settings)
    finally:
        dist.destroy_process_group()


def test_unknown_kind_of_checkpoints(tmp_path):
    with pytest.raises(ValueError, match=r"strategy\.checkpoints: expected one of .* 'local'"):
        FSDPStrategy(checkpoints='local', work_dir=str(tmp_path))
