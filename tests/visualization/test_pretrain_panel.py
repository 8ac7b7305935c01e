import subprocess
import sys

import numpy as np
import pytest

from mssdf.visualization import PanelData, draw_pretrain_panel, figure_to_array
from mssdf.visualization.pretrain_panel import fit_colors, stretch, to_pixels

B, SIDE, GRID, WIDTH = 2, 64, (4, 4), 12


def make(**changes) -> PanelData:
    rng = np.random.default_rng(0)
    names, n = ('rgb', 'dsm'), GRID[0] * GRID[1]
    data = dict(
        images=dict(
            rgb=rng.uniform(0, 255, (B, 3, SIDE, SIDE)), dsm=rng.normal(size=(B, 1, SIDE, SIDE))
        ),
        pixel_valid={name: np.ones((B, 1, SIDE, SIDE), bool) for name in names},
        patch_valid={name: np.ones((B, n), bool) for name in names},
        masks={name: rng.random((B, n)) < 0.75 for name in names},
        score=rng.uniform(0, 1000, (B, n)),
        grid=GRID,
        predicted={name: rng.normal(size=(B, n, WIDTH)) for name in names},
        targets={name: rng.normal(size=(B, n, WIDTH)) for name in names},
        units=dict(dsm='m'),
        names=['one', 'two'],
    )
    return PanelData(**(data | changes))


def cells(figure, columns: int) -> np.ndarray:
    """Axes by row and column; color bars are their children."""
    return np.array(figure.axes, dtype=object).reshape(-1, columns)


def texts(figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts] + [axes.get_ylabel()]
    return '\n'.join(found)


def test_stretch():
    image = np.linspace(0, 100, 10000).reshape(1, 100, 100).repeat(4, axis=0)
    shown = stretch(image, np.ones((100, 100), bool))
    assert shown.shape == (100, 100, 3)
    np.testing.assert_allclose(shown[..., 1], ((image[1] - 2) / 96).clip(0, 1), atol=1e-4)
    valid = np.zeros((100, 100), bool)
    valid[:50] = True  # only the lower half of the values counts
    np.testing.assert_allclose(
        stretch(image, valid)[..., 0], ((image[0] - 1) / 48).clip(0, 1), atol=1e-3
    )
    assert not stretch(image, np.zeros((100, 100), bool)).any()


def test_patches_to_pixels():
    spread = to_pixels(np.arange(6.0), (2, 3), (4, 6))
    np.testing.assert_array_equal(spread, np.kron(np.arange(6.0).reshape(2, 3), np.ones((2, 2))))
    colors = np.random.default_rng(0).random((6, 3))
    np.testing.assert_array_equal(to_pixels(colors, (2, 3), (4, 6))[3, 5], colors[5])


def test_shows_every_window_modality_and_step():
    data = make()
    figure = draw_pretrain_panel(data, 'the caption')
    table = cells(figure, 5)
    assert table.shape == (4, 5)
    said = texts(figure)
    for word in (
        'the caption',
        'rgb',
        'dsm',
        'one',
        'two',
        'Information score',
        'Teacher',
        'Predicted',
        'Seen by the student',
        'principal components',
    ):
        assert word in said
    bars = [bar for axes in figure.axes for bar in axes.child_axes]
    assert [axes.get_ylabel() for axes in bars].count('m') == 2  # of each DSM
    assert len(bars) == 2 + 4  # and of each score


def test_what_the_student_sees_is_bright():
    data = make()
    table = cells(draw_pretrain_panel(data), 5)
    for row, (window, name) in enumerate([(0, 'rgb'), (0, 'dsm'), (1, 'rgb'), (1, 'dsm')]):
        shown = table[row, 2].images[0].get_array()
        masked = to_pixels(data.masks[name][window], GRID, (SIDE, SIDE))
        full = table[row, 0].images[0].get_array()
        if name == 'rgb':
            np.testing.assert_allclose(shown[~masked], full[~masked])
            np.testing.assert_allclose(shown[masked], 0.12 * full[masked])
        assert shown[masked].mean() < 0.3 * shown[~masked].mean()


def test_teacher_and_prediction_share_one_basis_over_all_windows():
    data = make()
    data.predicted = {name: values.copy() for name, values in data.targets.items()}
    table = cells(draw_pretrain_panel(data), 5)
    pca = fit_colors(data)
    for row, (window, name) in enumerate([(0, 'rgb'), (0, 'dsm'), (1, 'rgb'), (1, 'dsm')]):
        teacher, predicted = (table[row, i].images[0].get_array() for i in (3, 4))
        np.testing.assert_array_equal(teacher, predicted)
        np.testing.assert_allclose(
            teacher, to_pixels(pca.to_rgb(data.targets[name][window]), GRID, (SIDE, SIDE))
        )
    data.predicted = {name: values + 5 for name, values in data.targets.items()}
    np.testing.assert_array_equal(fit_colors(data).components, pca.components)


def test_invalid_patches_do_not_enter_the_colors_and_are_hatched():
    data = make()
    data.patch_valid['dsm'][0, :4] = False
    data.pixel_valid['dsm'][0, :, :16] = False
    before = fit_colors(data).mean
    data.targets['dsm'][0, :4] = 1e6
    np.testing.assert_array_equal(fit_colors(data).mean, before)
    table = cells(draw_pretrain_panel(data), 5)
    hatched = [bool(getattr(axes, 'collections', [])) for axes in table[1]]
    assert hatched == [True, False, True, True, True]  # the RGB has a score there
    assert not any(axes.collections for axes in table[0])


def test_a_missing_modality():
    data = make()
    for valid in (data.patch_valid, data.pixel_valid):
        valid['dsm'][1] = False
    figure = draw_pretrain_panel(data)
    assert 'not there' in texts(figure)
    assert figure_to_array(figure, 30).shape[2] == 3


@pytest.mark.parametrize('missing, columns', [('targets', 4), ('predicted', 4), ('both', 3)])
def test_recipes_without_teacher_or_prediction(missing, columns):
    names = ('targets', 'predicted') if missing == 'both' else (missing,)
    figure = draw_pretrain_panel(make(**dict.fromkeys(names)))
    assert cells(figure, columns).shape == (4, columns)


def test_array_has_the_size_and_no_pyplot_state():
    figure = draw_pretrain_panel(make())
    image = figure_to_array(figure, 50)
    assert image.dtype == np.uint8
    width, height = figure.get_size_inches() * 50
    assert image.shape == (int(height), int(width), 3)
    assert (image[0, 0] == 255).all() and image.std() > 20
    code = 'import sys, mssdf.visualization; sys.exit("matplotlib.pyplot" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_reconstructions_are_on_the_windows_own_scale():
    data = make()
    reconstructed = {name: image.copy() for name, image in data.images.items()}
    reconstructed['rgb'][:, :, :16, :16] = 1e4  # beyond the window's range: white
    shown = make(images=data.images, reconstructed=reconstructed, targets=None, predicted=None)
    figure = draw_pretrain_panel(shown)
    figure_to_array(figure)
    grid = cells(figure, 4)
    window, cell = (grid[0, column].images[0].get_array() for column in (0, 3))
    assert (cell[:16, :16] == 1.0).all()
    np.testing.assert_allclose(cell[16:, 16:], window[16:, 16:], atol=1e-6)
    assert 'Reconstructed' in texts(figure)


def test_without_a_teacher_the_students_features_are_shown():
    features = {name: np.random.default_rng(1).normal(size=(B, 16, 5)) for name in ('rgb', 'dsm')}
    figure = draw_pretrain_panel(make(targets=None, predicted=None, features=features))
    assert "Student's features" in texts(figure)
    assert cells(figure, 4).shape == (4, 4)
    with_teacher = draw_pretrain_panel(make(features=features))
    assert "Student's features" not in texts(with_teacher)
