"""Masks of 0 and 255: the second class is never seen, as the ignored value stands for it."""

import re

import numpy as np
import pytest
from own_masks import lay_out, mask, stopped, train, write

from mssdf.datasets.transforms import LoadBinaryMask, LoadChange

pytest.importorskip('mmseg')


def test_masks_of_0_and_255_are_named(own, capsys):
    lay_out(own, np.stack([mask(0, 255)] * 6))
    line = stopped(capsys)
    assert 'train_dataloader: gt_sem_seg: expected labels 0 to 1' in line
    assert 'found [0] and 255 (ignored) in 30% of the pixels of 6 label maps' in line
    assert 'masks of 0 and 255' in line and 'mssdf.LoadBinaryMask' in line


def test_a_class_that_the_samples_lack_is_looked_for(own, capsys):
    empty = [mask(0)] * 20
    lay_out(own, np.stack([*empty[:7], mask(0, 255), *empty]))  # not among the four samples
    assert 'found [0] and 255 (ignored) in 1% of the pixels of 28 label maps' in stopped(capsys)


def test_the_second_class_or_none_is_seen(own, capsys):
    lay_out(own, np.stack([mask(1, 255)] * 3))
    assert 'found [1] and 255' in stopped(capsys)
    lay_out(own, np.stack([mask(0, 255)] * 3))
    line = stopped(capsys, 'train_dataloader.dataset.reduce_zero_label=True')
    assert 'found none and 255' in line and 'LoadBinaryMask' in line


def test_the_option_reads_them_as_two_classes(own, capsys):
    lay_out(own, np.stack([mask(0, 255)] * 6))
    loader = 'train_dataloader.dataset.pipeline.1.type=mssdf.LoadBinaryMask'
    status, said = train(capsys, loader)
    assert status == 0 and 'labels seen: gt_sem_seg [0, 1]' in said


@pytest.mark.parametrize(
    'masks', [[mask(0), mask(0)], [mask(0, 255), mask(0, 1)], [mask(0, 1, 255)], [mask(255)]]
)
def test_what_may_be_meant_is_not_refused(own, capsys, masks):
    lay_out(own, np.stack(masks * 3))
    assert train(capsys)[0] == 0


def test_the_last_of_several_classes(own, capsys):
    lay_out(own, np.stack([mask(0, 1, 255)] * 3))
    several = [
        'model.decode_head.num_classes=3',
        'train_dataloader.dataset.metainfo.classes=[a,b,c]',
    ]
    line = stopped(capsys, *several)
    assert 'found [0, 1] and 255 (ignored) in 30%' in line and 'label it 2' in line
    status, said = train(capsys, *several, 'default_hooks.data_check.unseen=warn')
    assert status == 0 and 'is 255 a class' in said
    lay_out(own, np.stack([mask(0, 2, 255)] * 3))  # a class between is rare, not misread
    assert train(capsys, *several)[0] == 0


def test_a_wrong_word(own, capsys):
    line = stopped(capsys, 'default_hooks.data_check.unseen=ignore')
    assert "unseen: expected one of ('stop', 'warn'), found 'ignore'" in line


def test_masks_as_labels(tmp_path):
    values = np.zeros((8, 8), np.uint8)
    values[:3], values[6, 1] = 200, 9
    write(tmp_path / 'mask.png', values)
    results = LoadBinaryMask(200, unknown=9)(dict(seg_map_path=str(tmp_path / 'mask.png')))
    expected = np.where(values == 9, 255, values == 200)
    np.testing.assert_array_equal(results['gt_seg_map'], expected)
    assert results['gt_seg_map'].dtype == np.uint8
    wrong = r'mask.png: expected the values \[0, 255\] \(foreground=255\), found \[9, 200\]'
    with pytest.raises(ValueError, match=wrong):
        LoadBinaryMask()(dict(seg_map_path=str(tmp_path / 'mask.png')))


@pytest.mark.parametrize(
    'dtype, value, said',
    [(np.uint16, 256, '256'), (np.int16, -9999, '-9999'), (np.float32, 0.5, '0.5')],
)
def test_labels_that_8_bits_change_are_named(tmp_path, dtype, value, said):
    values = np.zeros((8, 8), dtype)
    values[2, 2] = value
    write(tmp_path / 'mask.tif', values)
    wrong = rf'mask.tif: expected labels from 0 to 255, found \[{re.escape(said)}\]'
    with pytest.raises(ValueError, match=wrong):
        LoadChange()(dict(seg_map_path=str(tmp_path / 'mask.tif')))
    unknown = np.array([[0, 1], [-1, 1]], np.int16)
    write(tmp_path / 'unknown.tif', unknown)
    labels = LoadBinaryMask(1, unknown=255)(dict(seg_map_path=str(tmp_path / 'unknown.tif')))
    assert labels['gt_seg_map'].tolist() == [[0, 1], [255, 1]]


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
def test_a_label_map_that_was_cut_off_is_named(own, capsys, share):
    noise = np.random.default_rng(0).integers(0, 2, mask(0).shape).astype(np.uint8) * 255
    lay_out(own, np.stack([*[mask(0)] * 7, noise, *[mask(0)] * 20]))  # not among the four samples
    path = own / 'ann/007.png'
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    line = stopped(capsys)
    assert 'train_dataloader: ' in line
    assert re.search(r'own/ann/007\.png: expected (a label map|an image), found ', line), line
