# All imagery that ships with the repository (tests/data), as one list of scenes: orthophotos of
# 0.1 to 10 m, near infrared and surface models where there are any. Random windows of 128 px, a
# scene drawn in proportion to its area.
_base_ = ['./autzen_rgb-dsm_128.py']

modality_statistics = dict(nir=dict(mean=[130.0], std=[50.0]))
train_dataloader = dict(
    dataset=dict(
        data_root='tests/data',
        window_size=200,
        scenes=[
            dict(
                name='autzen', rgb='autzen/patch/autzen_dom.tif', dsm='autzen/patch/autzen_dsm.tif'
            ),
            dict(
                name='ign',
                rgb=dict(path='ign_lidarhd/rgbn.tif', bands=[1, 2, 3]),
                nir=dict(path='ign_lidarhd/rgbn.tif', bands=[4]),
                dsm='ign_lidarhd/dsm.tif',
            ),
            *[
                dict(
                    name=name,
                    rgb=dict(path=f'urban_trees/{name}.tif', bands=[1, 2, 3]),
                    nir=dict(path=f'urban_trees/{name}.tif', bands=[4]),
                )
                for name in (
                    'chico_2020_18',
                    'claremont_2020_12',
                    'long_beach_2020_13',
                    'riverside_2020_15',
                )
            ],
            *[
                dict(name=name, rgb=f'terramind/rgb_{name}.tif')
                for name in ('282D_485L_3_3', '433D_629L_3_1', '637U_59R_1_3')
            ],
            *[
                dict(name=name, rgb=f'idtrees/rgb_{name}.tif', dsm=f'idtrees/chm_{name}.tif')
                for name in ('MLBS_1', 'MLBS_12', 'MLBS_23', 'MLBS_34')
            ],
        ],
        modalities=dict(nir=dict(bands=[1])),
    )
)
