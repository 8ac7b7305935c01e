"""Names in a resumed checkpoint lead to no file elsewhere."""

from mssdf.engine.hooks.atomic_checkpoint_hook import DROPPED, KEPT


def prepare(tiny_config, build_runner, **known):
    tiny_config.default_hooks.checkpoint.update(
        by_epoch=True, interval=1, max_keep_ckpts=1, save_best='loss', rule='less'
    )
    runner = build_runner(tiny_config)
    hook = next(hook for hook in runner.hooks if hasattr(hook, 'save_interrupted'))
    for key, value in known.items():
        runner.message_hub.update_info(key, value)
    return runner, hook


def test_steps_that_are_no_numbers_remove_nothing(tiny_config, build_runner, tmp_path):
    (tmp_path / 'run/epoch_').mkdir(parents=True)
    victim = tmp_path / 'victim.pth'
    victim.write_text('kept')
    steps = ['/../../victim', 7, None]
    runner, hook = prepare(tiny_config, build_runner, **{KEPT: [*steps, 8], DROPPED: steps})
    hook.before_train(runner)
    assert victim.read_text() == 'kept'
    assert list(hook.keep_ckpt_ids) == [8]


def test_the_best_checkpoint_is_looked_for_in_the_run(tiny_config, build_runner, tmp_path):
    for path, expected in (
        ('/moved/best_loss_epoch_2.pth', str(tmp_path / 'run/best_loss_epoch_2.pth')),
        ('/etc/passwd', None),
        (str(tmp_path / 'best_/..'), None),
        (7, None),
    ):
        runner, hook = prepare(tiny_config, build_runner, best_ckpt=path)
        hook.before_train(runner)
        assert hook.best_ckpt_path == expected
