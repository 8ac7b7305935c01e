"""Rasters and lists that lead elsewhere, one hostile file per way in."""

import shutil

import numpy as np
import pytest
import rasterio
import source_files as files

from mssdf.datasets.annotations.xml_boxes import read_objects
from mssdf.datasets.transforms.load_rasters import read_image
from mssdf.evaluation.frozen.reading import read_heights, read_mask
from mssdf.evaluation.labeled_images import read_rgb
from mssdf.preparation.pairs.places import find_rasters
from mssdf.rasters import failures
from mssdf.rasters.access import drivers_of, is_network
from mssdf.rasters.checked_opening import open_checked
from mssdf.rasters.failures import UnreadableDataError
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.read_errors import UnreadableFileError
from mssdf.rasters.scenes import ModalitySettings, list_scenes
from mssdf.utils.allowances import ALLOW, lies_below

RGB = dict(rgb=ModalitySettings(suffix='_dom.tif'))


@pytest.fixture
def secret(tmp_path):
    return files.write_tif(tmp_path / 'elsewhere/secret.tif', files.heights(42))


def read_by_dataset(path):
    """Raise what the log says of a file whose failure stops the dataset."""
    said = []
    modalities = dict(rgb=dict(suffix='_dom.tif'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failures, 'print_log', lambda text, **_: said.append(text))
        with pytest.raises(UnreadableDataError, match=files.Path(path).name):
            files.dataset_of('', scenes=[dict(rgb=path)], modalities=modalities)
    raise OSError(said[0])


READERS = [
    read_header,
    read_image,
    open_checked,
    read_by_dataset,
    lambda path: read_rgb(files.Path(path)),
    lambda path: read_mask(files.Path(path)),
    lambda path: read_heights(files.Path(path)),
]


@pytest.mark.parametrize('read', READERS)
def test_a_vrt_named_as_a_tiff_is_read_by_no_reader(tmp_path, secret, read, monkeypatch):
    path = files.write_vrt(tmp_path / 'x_dom.tif', secret)
    with rasterio.open(path) as raster:  # GDAL itself would
        assert (raster.read() == 42).all()
    named = r'x_dom\.tif.*expected a file of GTiff by its name, found a VRT'
    with pytest.raises((OSError, ValueError), match=named):
        read(str(path))
    monkeypatch.setenv(ALLOW, 'vrt')
    with open_checked(path) as raster:
        assert (raster.read() == 42).all()


def test_build_pairs_names_it_and_goes_on_without(tool, tmp_path, secret, capsys):
    files.write_tif(tmp_path / 'rgb/a.tif', files.texture())
    files.write_vrt(tmp_path / 'rgb/x_dom.tif', secret)
    assert files.build(tool, tmp_path / 'out', '--source', f'rgb={tmp_path}/rgb') == 0
    assert 'x_dom.tif: expected a file of GTiff' in capsys.readouterr().out


@pytest.mark.parametrize(
    'source',
    [
        '/vsicurl/http://127.0.0.1:9/a.tif',
        '/vsis3/bucket/a.tif',
        '/vsizip//vsicurl/http://127.0.0.1:9/a.zip/a.tif',
        'http://127.0.0.1:9/a.tif',
        'WMS:http://127.0.0.1:9/',
        'vrt://secret.tif?bands=1',
        '&lt;VRTDataset rasterXSize="1"/&gt;',
        '/vsisparse/a.xml',
        '/vsistdin/',
    ],
)
def test_a_vrt_that_leads_to_a_server(tmp_path, source):
    path = files.write_vrt(tmp_path / 'a.vrt', source)
    with pytest.raises(UnreadableFileError, match=r'a\.vrt: expected sources on this machine'):
        read_header(str(path))


def test_sources_behind_further_vrts_are_looked_at_too(tmp_path):
    files.write_vrt(tmp_path / 'inner.vrt', '/vsicurl/http://127.0.0.1:9/a.tif')
    path = files.write_vrt(tmp_path / 'a.vrt', 'inner.vrt', relative=True)
    with pytest.raises(UnreadableFileError, match='expected sources on this machine'):
        read_header(str(path))


@pytest.mark.parametrize(
    'text', ['<GDAL_WMS/>', '\n <VRTDataset/>', '{"type": "FeatureCollection"}', '﻿<WMTS/>']
)
def test_a_source_that_describes_others_under_a_name_of_pixels(tmp_path, text):
    (tmp_path / 'b.tif').write_text(text)
    path = files.write_vrt(tmp_path / 'a.vrt', tmp_path / 'b.tif')
    with pytest.raises(UnreadableFileError, match=r'b\.tif, found a description of other files'):
        read_header(str(path))


@pytest.mark.parametrize('side', ['.msk', '.ovr'])
def test_a_side_file_that_leads_elsewhere(tmp_path, secret, side):
    path = files.write_tif(tmp_path / 'a.tif', files.texture(1))
    shutil.copy(files.write_vrt(tmp_path / 'b.vrt', secret), f'{path}{side}')
    with pytest.raises(UnreadableFileError, match=rf'a\.tif{side}, found a description'):
        read_header(str(path))


def test_overviews_that_lie_elsewhere(tmp_path, secret):
    path = files.write_tif(tmp_path / 'a.tif', files.texture(1))
    (tmp_path / 'a.tif.aux.xml').write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI>'
        '</Metadata></PAMDataset>'
    )
    with pytest.raises(UnreadableFileError, match='expected overviews beside it'):
        read_header(str(path))


def test_code_and_cycles(tmp_path):
    code = '<PixelFunctionCode>import os</PixelFunctionCode>'
    path = files.write_vrt(tmp_path / 'a.vrt', 'a.tif', more=code)
    with pytest.raises(UnreadableFileError, match='expected a VRT without code'):
        read_header(str(path))
    named = '<PixelFunctionLanguage>Python</PixelFunctionLanguage>'
    for more in (code.lower(), named, named.lower()):
        files.write_vrt(tmp_path / 'a.vrt', 'a.tif', more=more)
        with pytest.raises(UnreadableFileError, match='expected a VRT without code'):
            read_header(str(path))
    files.write_vrt(tmp_path / 'b.vrt', tmp_path / 'c.vrt')
    files.write_vrt(tmp_path / 'c.vrt', tmp_path / 'b.vrt')
    with pytest.raises(UnreadableFileError, match=r'expected sources, found the VRT in .*b\.vrt'):
        read_header(str(tmp_path / 'b.vrt'))


def test_a_vrt_met_below_a_folder_stays_there(tmp_path, secret, monkeypatch):
    inside = files.write_tif(tmp_path / 'data/a.tif', files.heights(1))
    files.write_vrt(tmp_path / 'data/in.vrt', 'a.tif', relative=True)
    assert len(find_rasters([str(tmp_path / 'data')])) == 2
    bad = files.write_vrt(tmp_path / 'data/bad.vrt', secret)
    with pytest.raises(OSError, match=rf'bad\.vrt: expected sources below .*{ALLOW}=outside'):
        find_rasters([str(tmp_path / 'data')])
    assert find_rasters([str(bad), str(inside)]) == (str(bad), str(inside))  # named by the user
    monkeypatch.setenv(ALLOW, 'outside')
    assert len(find_rasters([str(tmp_path / 'data')])) == 3


@pytest.mark.parametrize('place', ['{}', 'GTIFF_DIR:1:{}', 'GTIFF_DIR:1:../elsewhere/secret.tif'])
@pytest.mark.parametrize('change', [str, str.lower, lambda tag: tag.replace('="1"', '=" +01x"')])
def test_a_vrt_that_names_its_source_in_other_ways(tmp_path, secret, place, change, monkeypatch):
    path = files.write_vrt(tmp_path / 'data/bad.vrt', place.format(secret), relative=True)
    text = path.read_text()
    for tag in ('<SourceFilename relativeToVRT="1">', '</SourceFilename>'):
        text = text.replace(tag, change(tag))
    path.write_text(text)
    with rasterio.open(path) as raster:  # GDAL reads it
        assert (raster.read() == 42).all()
    for folder in (tmp_path, tmp_path / 'data'):
        monkeypatch.chdir(folder)
        with pytest.raises(OSError, match=r'bad\.vrt: expected sources below'):
            find_rasters([str(tmp_path / 'data')])


def test_servers_behind_names_in_lower_case(tmp_path):
    path = files.write_vrt(tmp_path / 'bad.vrt', '/vsicurl/http://127.0.0.1:1/x.tif')
    path.write_text(path.read_text().replace('SourceFilename', 'sourcefilename'))
    with pytest.raises(UnreadableFileError, match='expected sources on this machine'):
        read_header(str(path))


@pytest.mark.parametrize(
    ('dtype', 'side'), [('Byte', 44722), ('Float32', 44722), ('Byte', 2 * 10**9)]
)
@pytest.mark.parametrize('read', READERS[:4])
def test_a_vrt_of_two_thousand_million_pixels(tmp_path, read, dtype, side):
    source = files.write_tif(tmp_path / 'a.tif', files.texture(1))
    path = files.write_vrt(tmp_path / 'x.vrt', source, side=side, kind=dtype)
    with pytest.raises((OSError, ValueError), match=rf'x\.vrt.* found {side} x {side} pixels'):
        read(str(path))


def test_a_png_of_a_thousand_million_pixels(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    head = struct.pack('>IIBBBBB', 40000, 40000, 8, 2, 0, 0, 0)
    path = tmp_path / 'a.png'
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', b'') + chunk(b'IEND', b'')
    )
    for read in (read_image, lambda path: read_rgb(files.Path(path))):
        with pytest.raises((OSError, ValueError), match=r'a\.png'):
            read(str(path))


def index(tmp_path, value):
    path = tmp_path / 'data/index.csv'
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'name,rgb\none,{value}\n')
    return str(path)


@pytest.mark.parametrize(
    'value',
    ['/etc/a.tif', '../a.tif', 'sub/../../a.tif', '..\\a.tif', '~/a.tif', 'link/../../b.tif'],
)
def test_an_index_that_leads_out_of_its_folder(tmp_path, value, monkeypatch):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/link').symlink_to(tmp_path)
    where = r'index\.csv:2\.rgb: expected a file below .*data'
    for root in ('', str(tmp_path / 'data')):
        with pytest.raises(ValueError, match=where):
            list_scenes(index(tmp_path, value), root, RGB)
    # the config's own list is the user's
    assert list_scenes([dict(rgb=value)], str(tmp_path / 'data'), RGB)[0].files['rgb'].path
    monkeypatch.setenv(ALLOW, 'network, outside')
    assert list_scenes(index(tmp_path, value), '', RGB)[0].files['rgb'].path


@pytest.mark.parametrize('value', ['/vsicurl/http://127.0.0.1:9/a.tif', 's3://bucket/a.tif'])
def test_an_index_that_leads_to_a_server(tmp_path, value, monkeypatch):
    with pytest.raises(ValueError, match=rf'index\.csv:2\.rgb: .*{ALLOW}=network'):
        list_scenes(index(tmp_path, value), '', RGB)
    monkeypatch.setenv(ALLOW, 'network')
    assert list_scenes(index(tmp_path, value), '', RGB)[0].files['rgb'].path == value


def test_an_index_that_names_a_vrt_that_leads_out(tmp_path, secret):
    listed = index(tmp_path, 'a.vrt')
    files.write_vrt(tmp_path / 'data/a.vrt', secret)
    with pytest.raises(OSError, match=r'a\.vrt: expected sources below'):
        list_scenes(listed, '', RGB)


def test_an_option_that_there_is_not(monkeypatch):
    monkeypatch.setenv(ALLOW, 'all')
    with pytest.raises(ValueError, match=rf"{ALLOW}: expected some of vrt, .*, found \['all'\]"):
        drivers_of('a.tif')


def test_names_and_what_they_mean(tmp_path):
    assert drivers_of('A.TIF')[0] == 'GTiff' and drivers_of('/vsizip/a.zip/b.png') == ['PNG']
    assert {'VRT', 'WMS', 'GTI', 'HTTP'}.isdisjoint(drivers_of('a.dat'))
    assert 'netCDF' in drivers_of('a.nc')
    assert not is_network('/vsizip//data/a.zip/a.tif') and is_network('/vsicached/a')
    assert lies_below('a/b', 'a') and not lies_below('ab/c', 'a') and not lies_below('a', 'a')


LAUGHS = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>'
PARAMETER = '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><annotation/>'


@pytest.mark.parametrize('text', [LAUGHS, EXTERNAL, PARAMETER])
def test_xml_with_a_document_type(tmp_path, text):
    (tmp_path / 'a.xml').write_text(text)
    with pytest.raises(ValueError, match=r'a\.xml:1: expected XML without a document type'):
        read_objects(tmp_path / 'a.xml', 'bndbox', ('xmin',), ['ship'])
    (tmp_path / 'a.vrt').write_text(text.replace('annotation', 'VRTDataset'))
    with pytest.raises(UnreadableFileError, match=r'a\.vrt:.*without a document type'):
        read_header(str(tmp_path / 'a.vrt'))


def test_rasters_that_are_what_they_say_are_read(tmp_path):
    values = files.texture()
    path = files.write_tif(tmp_path / 'a.TIF', values)
    rasterio.shutil.copy(path, tmp_path / 'a.png', driver='PNG')
    rasterio.shutil.copy(path, tmp_path / 'a.img', driver='HFA')
    rasterio.shutil.copy(path, tmp_path / 'no_suffix', driver='ENVI')
    for name in ('a.TIF', 'a.png', 'a.img', 'no_suffix'):
        assert (read_image(str(tmp_path / name))[0].transpose(2, 0, 1) == values).all(), name
    assert np.array_equal(read_rgb(tmp_path / 'a.TIF').transpose(2, 0, 1), values)
