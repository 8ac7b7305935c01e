"""A raster's identity changes with every file that GDAL reads for it."""

import json
import os
import shutil
import warnings

import numpy as np
import pytest
import rasterio
import source_files as files

from mssdf.contest.data import facts_of
from mssdf.preparation.statistics import compute_statistics
from mssdf.rasters.identity import raster_facts, side_files


def left_half():
    valid = np.ones((files.SIDE, files.SIDE), bool)
    valid[:, files.SIDE // 2 :] = False
    return valid


def test_a_mask_added_beside_a_raster_of_pairs(tool, tmp_path, capsys):
    rgb = files.write_tif(tmp_path / 'rgb.tif', files.texture())
    dsm = files.write_tif(tmp_path / 'a.tif', files.texture(1).astype(np.float32))
    arguments = (tmp_path / 'out', '--source', f'rgb={rgb}', '--source', f'dsm={dsm}')
    assert files.build(tool, *arguments) == 0
    assert files.built_heights(tmp_path / 'out')[1].all()
    files.write_mask(dsm, left_half())
    with rasterio.open(dsm) as raster:
        assert (raster.read_masks(1) > 0).sum() == files.SIDE**2 / 2
    assert files.build(tool, *arguments) == 0
    assert (files.built_heights(tmp_path / 'out')[1] == left_half()).all()
    capsys.readouterr()
    assert files.build(tool, *arguments) == 0
    # tiles, new, there
    assert 'train 1 0 1 ' in ' '.join(capsys.readouterr().out.split())


def test_a_mask_added_beside_a_raster_of_a_dataset(tmp_path):
    rgb = files.write_tif(tmp_path / 'patch/x_dom.tif', files.texture())
    files.write_tif(tmp_path / 'patch/x_dsm.tif', files.texture(1).astype(np.float32))
    assert len(files.dataset_of(tmp_path)) == 16
    files.write_mask(rgb, left_half())
    assert len(files.dataset_of(tmp_path)) == 8


def test_the_dtm_of_pairs_counts_too(tool, tmp_path):
    rgb = files.write_tif(tmp_path / 'rgb.tif', files.texture())
    dsm = files.write_tif(tmp_path / 'dsm.tif', files.texture(1).astype(np.float32))
    dtm = files.write_tif(tmp_path / 'dtm.tif', files.heights(0))
    sources = ('--source', f'rgb={rgb}', '--source', f'dsm={dsm}', '--dtm', f'dsm={dtm}')
    assert files.build(tool, tmp_path / 'out', *sources) == 0
    assert files.built_heights(tmp_path / 'out')[1].all()
    files.write_mask(dtm, left_half())
    assert files.build(tool, tmp_path / 'out', *sources) == 0
    assert (files.built_heights(tmp_path / 'out')[1] == left_half()).all()


@pytest.mark.parametrize('nested', [False, True])
@pytest.mark.parametrize('relative', [False, True])
def test_a_source_of_a_vrt_written_again_for_pairs(tool, tmp_path, nested, relative):
    source = files.write_tif(tmp_path / 'below/source.tif', files.heights(10))
    inner = files.write_vrt(
        tmp_path / 'below/inner.vrt', source.name if relative else source, relative
    )
    below = 'below/inner.vrt' if nested else 'below/source.tif'
    outer = files.write_vrt(tmp_path / 'x.vrt', below if relative else tmp_path / below, relative)
    assert inner.is_file()
    rgb = files.write_tif(tmp_path / 'rgb.tif', files.texture())
    arguments = (tmp_path / 'out', '--source', f'rgb={rgb}', '--source', f'dsm={outer}')
    assert files.build(tool, *arguments) == 0
    assert (files.built_heights(tmp_path / 'out')[0] == 10).all()
    files.write_tif(source, files.heights(77))
    assert files.build(tool, *arguments) == 0
    assert (files.built_heights(tmp_path / 'out')[0] == 77).all()


@pytest.mark.parametrize('suffix', ['_dsm.vrt', None])
def test_a_source_of_a_vrt_refilled_for_a_dataset(tmp_path, suffix):
    values = files.texture(1).astype(np.float32)
    half = np.where(left_half(), values, np.float32(-9999))
    source = files.write_tif(tmp_path / 'source.tif', half)
    files.write_vrt(tmp_path / 'data/patch/x_dsm.vrt', source, nodata=-9999)
    files.write_tif(tmp_path / 'data/patch/x_dom.tif', files.texture())
    modalities = dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix=suffix))
    scenes = [dict(rgb='patch/x_dom.tif', dsm='patch/x_dsm.vrt')]
    options = dict(modalities=modalities, reference='dsm', scenes=None if suffix else scenes)
    assert len(files.dataset_of(tmp_path / 'data', **options)) == 8
    files.write_tif(source, values)
    assert len(files.dataset_of(tmp_path / 'data', **options)) == 16


def test_facts_name_all_that_gdal_names(tmp_path):
    rgb = files.write_tif(tmp_path / 'a.tif', files.texture())
    files.write_mask(rgb, left_half())
    (tmp_path / 'a.tif.aux.xml').write_text('<PAMDataset/>')
    shutil.copy(rgb, tmp_path / 'a.tif.ovr')
    (tmp_path / 'a.TFW').write_text('0.5\n0\n0\n-0.5\n0\n0\n')
    (tmp_path / 'a.txt').write_text('of no concern')
    with rasterio.open(rgb) as raster:
        named = {os.path.basename(name) for name in raster.files}
    found = {os.path.basename(name) for name, *_ in raster_facts(str(rgb))}
    assert named <= found == {'a.tif', 'a.tif.msk', 'a.tif.aux.xml', 'a.tif.ovr', 'a.TFW'}
    assert not any(name.endswith('.txt') for name in side_files(str(rgb)))


@pytest.mark.parametrize('driver, name', [('PNG', 'a.png'), ('AAIGrid', 'a.asc'), ('HFA', 'a.img')])
def test_facts_name_all_that_gdal_names_of_other_formats(tmp_path, driver, name):
    path = files.write_tif(tmp_path / 'source.tif', files.texture(1))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        rasterio.shutil.copy(path, tmp_path / name, driver=driver)
    with rasterio.open(tmp_path / name) as raster:
        named = set(raster.files)
    assert named <= {name for name, *_ in raster_facts(str(tmp_path / name))}


def test_facts_of_a_raster_in_an_archive_change_with_it(tmp_path):
    files.write_tif(tmp_path / 'in/a.tif', files.texture())
    shutil.make_archive(str(tmp_path / 'all'), 'zip', tmp_path / 'in')
    path = f'/vsizip/{tmp_path}/all.zip/a.tif'
    ((_, size, _),) = raster_facts(path)
    assert size == (tmp_path / 'all.zip').stat().st_size


def test_a_vrt_that_refers_to_itself_ends(tmp_path):
    files.write_vrt(tmp_path / 'a.vrt', tmp_path / 'b.vrt')
    files.write_vrt(tmp_path / 'b.vrt', tmp_path / 'a.vrt')
    assert len(raster_facts(str(tmp_path / 'a.vrt'))) == 2


def test_contest_and_statistics_tell_side_files(tmp_path):
    rgb = files.write_tif(tmp_path / 'patch/x_dom.tif', files.texture())
    files.write_tif(tmp_path / 'patch/x_dsm.tif', files.texture(1).astype(np.float32))
    before = facts_of(str(tmp_path), files.MODALITIES)
    assert [name for name, *_ in before] == ['patch/x_dom.tif', 'patch/x_dsm.tif']
    assert json.loads(json.dumps(before)) == before
    statistics = compute_statistics(files.dataset_of(tmp_path))
    files.write_mask(rgb, left_half())
    assert facts_of(str(tmp_path), files.MODALITIES) != before
    masked = compute_statistics(files.dataset_of(tmp_path))
    assert statistics['rgb']['valid_share'] == 1
    assert masked['rgb']['valid_share'] == 0.5


@pytest.mark.parametrize('name', ['GTIFF_DIR:1:{}', 'gtiff_dir:1:src.tif', '{}'])
@pytest.mark.parametrize('tag', ['SourceFilename', 'sourcefilename'])
def test_sources_named_as_parts_of_a_file_count(tmp_path, name, tag):
    source = files.write_tif(tmp_path / 'src.tif', files.heights(10))
    path = files.write_vrt(tmp_path / 'x.vrt', name.format(source), relative=True)
    path.write_text(path.read_text().replace('SourceFilename', tag))
    before = raster_facts(str(path))
    assert str(source) in [name for name, *_ in before]
    files.write_tif(source, np.pad(files.heights(77), ((0, 0), (0, 1), (0, 0))))
    assert raster_facts(str(path)) != before
