"""The teacher is neither built nor run for nothing; shares of training; starting weights."""

import pytest
import torch

from mssdf.checkpoints import CheckpointError

from .tiny import ALL_LOSSES, move, tiny_batch, tiny_config, tiny_model


def count_calls(module) -> list:
    calls = []
    module.register_forward_hook(lambda *args: calls.append(1))
    return calls


def test_the_teacher_runs_only_while_its_term_weighs_something():
    model = tiny_model(losses=ALL_LOSSES)
    calls = count_calls(model.teacher)
    batch = model.data_preprocessor(tiny_batch(2))
    for iteration, expected in ((0, 0), (10, 0), (11, 1), (25, 2)):
        move(model, iteration, losses=dict(rec=(10, 20)))
        losses = model.loss(**batch)
        assert len(calls) == expected
        assert ('rec' in losses) == (iteration > 10)
        losses['loss'].backward()
        # DDP waits for every parameter
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        assert all(p.grad.isfinite().all() for p in model.feature_head.parameters())
        model.zero_grad(set_to_none=True)
    assert tiny_model(losses=ALL_LOSSES | dict(rec=0.0)).teacher is None


@pytest.mark.parametrize(
    ('names', 'losses', 'pairwise'),
    [
        (('rgb', 'dsm'), dict(rec=1.0, align=0.5), dict(features='encoder')),
        (('rgb', 'dsm'), dict(rec=1.0), {}),
        (('rgb',), dict(rec=1.0, align=0.5), {}),
    ],
)
def test_what_sleeps_is_not_run_and_still_has_a_gradient(names, losses, pairwise):
    model = tiny_model(
        names,
        losses=dict.fromkeys(ALL_LOSSES, 0.0) | losses,
        pairwise=pairwise,
    )
    calls = count_calls(model.modality_decoder)
    batch = model.data_preprocessor(tiny_batch(2, names))
    for iteration, runs in ((0, 0), (15, 1)):
        move(model, iteration, losses=dict(rec=(10, 20)))
        model.loss(**batch)['loss'].backward()
        assert len(calls) == runs
        gradients = [p.grad for p in model.parameters() if p.requires_grad]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        model.zero_grad(set_to_none=True)


def test_a_single_modality_needs_a_term_of_its_own():
    with pytest.raises(ValueError, match='losses: expected a term that one modality alone'):
        tiny_model(('rgb',), losses=dict.fromkeys(ALL_LOSSES, 0.0) | dict(align=1.0))


def test_the_runner_tells_the_length_of_training():
    model = tiny_model(losses=ALL_LOSSES)
    move(model, 75, 100, losses=dict(rec=(0.5, 1.0)))
    assert model.weights['rec'] == pytest.approx(0.5)
    assert model.iteration == 75
    with pytest.raises(ValueError, match='length of training'):
        move(model, 75, losses=dict(rec=(0.5, 1.0)))


def start(tmp_path, names=('rgb', 'dsm', 'ms'), **settings):
    """A model that starts from another one's checkpoint, and the other one."""
    from mssdf.registry import MODELS

    embedding = {'embedding.type': 'mssdf.PerModalityPatchEmbedding'}
    donor = tiny_model(('rgb', 'dsm'), seed=9, **embedding)
    path = tmp_path / 'donor.pth'
    torch.save(dict(state_dict=donor.state_dict()), path)
    model = MODELS.build(
        tiny_config(names, **embedding, **settings, teacher=dict(checkpoint=str(path)))
    )
    torch.manual_seed(0)
    model.init_weights()
    return model, donor


@pytest.mark.parametrize('rec', [1.0, 0.0])
def test_student_and_teacher_both_start_from_a_checkpoint(tmp_path, rec):
    model, donor = start(tmp_path, **{'losses.rec': rec})
    encoders = [(model.backbone, model.embedding)]
    if rec:
        encoders.append((model.teacher.backbone, model.teacher.embedding))
    for backbone, embedding in encoders:
        for name, value in donor.backbone.state_dict().items():
            assert torch.equal(backbone.state_dict()[name], value)
        for name, value in donor.embedding.state_dict().items():
            assert torch.equal(embedding.state_dict()[name], value)
        fresh = embedding.projections['ms'].weight  # the file has no such modality
        assert fresh.any()
        assert torch.equal(fresh, model.embedding.projections['ms'].weight)


def test_a_checkpoint_of_another_shape_is_refused_whole(tmp_path):
    with pytest.raises(CheckpointError, match='expected every weight of the model and no other'):
        start(tmp_path, **{'backbone.arch.num_layers': 2})
