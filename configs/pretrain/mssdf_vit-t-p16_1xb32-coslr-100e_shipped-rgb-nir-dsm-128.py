# As mssdf_vit-t-p16_1xb32-coslr-100e_autzen-128.py, with near infrared as a third modality:
# Autzen's orthophoto and surface model, IGN's with near infrared, and crops of NAIP's (RGB and near
# infrared) in four Californian cities, all of about half a meter. Each scene lacks what it lacks; a
# scene is drawn in proportion to its area.
_base_ = ['./mssdf_vit-t-p16_1xb32-coslr-100e_autzen-128.py']

modalities = dict(nir=dict(bands=[1], mean=[130.0], std=[50.0]))
model = dict(data_preprocessor=dict(modalities=modalities))
crops = dict(
    chico=(3, 7, 9, 18, 32, 37, 43, 45, 50, 58, 61, 62, 66, 70, 75, 76, 80, 88),
    claremont=(2, 12, 14, 15, 16, 17, 19, 26, 33, 46, 50, 54, 57, 59, 67, 70, 76, 84),
    long_beach=(13, 14, 15, 19, 22, 24, 34, 36, 42, 54, 57, 58, 72, 73, 74, 75, 76, 81),
    riverside=(2, 3, 15, 16, 20, 22, 25, 30, 44, 52, 72, 73, 74, 75, 76, 77, 83, 89),
)
scenes = [
    dict(name='autzen', rgb='autzen/patch/autzen_dom.tif', dsm='autzen/patch/autzen_dsm.tif'),
    dict(
        name='ign',
        rgb=dict(path='ign_lidarhd/rgbn.tif', bands=[1, 2, 3]),
        nir=dict(path='ign_lidarhd/rgbn.tif', bands=[4]),
        dsm='ign_lidarhd/dsm.tif',
    ),
    *[
        dict(
            name=f'{city}_2020_{number}',
            rgb=dict(path=f'urban_trees/{city}_2020_{number}.tif', bands=[1, 2, 3]),
            nir=dict(path=f'urban_trees/{city}_2020_{number}.tif', bands=[4]),
        )
        for city, numbers in crops.items()
        for number in numbers
    ],
]
train_dataloader = dict(
    dataset=dict(
        data_root='tests/data',
        windows=dict(size=200),
        scenes=scenes,
        modalities=modalities,
    )
)
