import os
import warnings
from pathlib import Path

import pytest
import torch

from mssdf.engine.resume import find_resumable_checkpoint, is_readable, read_meta


def save(folder: Path, name: str, age: int) -> Path:
    path = folder / name
    torch.save({'meta': {'seed': age}, 'state_dict': {'weight': torch.randn(300)}}, path)
    os.utime(path, (1000 - age, 1000 - age))
    return path


def quietly(folder: Path) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        return find_resumable_checkpoint(folder)


def test_nothing_there(tmp_path):
    assert quietly(tmp_path) is None
    assert quietly(tmp_path / 'missing') is None


def test_newest_that_can_be_resumed(tmp_path):
    save(tmp_path, 'iter_10.pth', 30)
    newest = save(tmp_path, 'iter_9.pth', 20)
    save(tmp_path, 'best_acc_iter_9.pth', 1)
    save(tmp_path, 'iter_9-0a1b2c3d.pth', 1)
    assert quietly(tmp_path) == str(newest)


@pytest.mark.parametrize('keep', [0, 1, 100, -1])
def test_a_torn_one_is_named_and_passed_over(tmp_path, keep):
    older, torn = save(tmp_path, 'iter_1.pth', 2), save(tmp_path, 'iter_2.pth', 1)
    content = torn.read_bytes()
    torn.write_bytes(content[:keep])
    assert not is_readable(torn)
    with pytest.warns(RuntimeWarning, match='iter_2.pth.*damaged') as caught:
        assert find_resumable_checkpoint(tmp_path) == str(older)
    assert len(caught) == 1


def test_damage_inside_is_seen(tmp_path):
    path = save(tmp_path, 'iter_1.pth', 1)
    content = bytearray(path.read_bytes())
    value = torch.load(path)['state_dict']['weight'].numpy().tobytes()
    content[content.index(value[:64]) + 500] ^= 1  # one bit of one weight
    path.write_bytes(content)
    assert not is_readable(path)
    with pytest.warns(RuntimeWarning, match='no other checkpoint'):
        assert find_resumable_checkpoint(tmp_path) is None


def test_the_one_pointed_to_is_missing(tmp_path):
    older = save(tmp_path, 'iter_1.pth', 1)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_2.pth'))
    with pytest.warns(RuntimeWarning, match='iter_2.pth.*missing'):
        assert find_resumable_checkpoint(tmp_path) == str(older)


def test_pointer_to_another_folder_and_of_a_moved_run(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'run').mkdir()
    elsewhere = save(tmp_path / 'out', 'iter_3.pth', 1)
    (tmp_path / 'run' / 'last_checkpoint').write_text(str(elsewhere))
    assert quietly(tmp_path / 'run') == str(elsewhere)
    here = save(tmp_path / 'run', 'iter_4.pth', 0)
    (tmp_path / 'run' / 'last_checkpoint').write_text('/was/once/here/iter_4.pth')
    assert quietly(tmp_path / 'run') == str(here)


def test_a_pointer_out_of_the_folders_given_is_not_followed(tmp_path, monkeypatch):
    run, out = tmp_path / 'run', tmp_path / 'out/run'
    for folder in (run, out, tmp_path / 'elsewhere'):
        folder.mkdir(parents=True)
    own = save(run, 'iter_1.pth', 2)
    elsewhere = save(tmp_path / 'elsewhere', 'iter_3.pth', 1)
    (run / 'last_checkpoint').write_text(str(elsewhere))
    with pytest.warns(RuntimeWarning, match=r'elsewhere/iter_3\.pth \(outside of .*MSSDF_ALLOW'):
        assert find_resumable_checkpoint(run, []) == str(own)
    (run / 'last_checkpoint').write_text(str(run / '../elsewhere/iter_3.pth'))
    with pytest.warns(RuntimeWarning, match='outside of'):
        assert find_resumable_checkpoint(run, [out]) == str(own)
    written = save(out, 'iter_4.pth', 0)
    (run / 'last_checkpoint').write_text(str(written))
    assert find_resumable_checkpoint(run, [out]) == str(written)
    (run / 'last_checkpoint').write_text(str(elsewhere))
    monkeypatch.setenv('MSSDF_ALLOW', 'outside')
    assert find_resumable_checkpoint(run, []) == str(elsewhere)


def test_of_two_equally_old_the_one_pointed_to(tmp_path):
    for number in range(4):
        save(tmp_path, f'iter_{number}.pth', 1)
    (tmp_path / 'last_checkpoint').write_text('iter_2.pth')
    assert quietly(tmp_path) == str(tmp_path / 'iter_2.pth')


def test_meta(tmp_path):
    assert read_meta(save(tmp_path, 'iter_1.pth', 7)) == {'seed': 7}
