# AID (arXiv 1608.05167): 10,000 images of 600 px, 30 classes.
_base_ = ['./scenes_224.py']

classes = [
    'Airport',
    'BareLand',
    'BaseballField',
    'Beach',
    'Bridge',
    'Center',
    'Church',
    'Commercial',
    'DenseResidential',
    'Desert',
    'Farmland',
    'Forest',
    'Industrial',
    'Meadow',
    'MediumResidential',
    'Mountain',
    'Park',
    'Parking',
    'Playground',
    'Pond',
    'Port',
    'RailwayStation',
    'Resort',
    'River',
    'School',
    'SparseResidential',
    'Square',
    'Stadium',
    'StorageTanks',
    'Viaduct',
]

dataset = dict(data_root='data/aid', metainfo=dict(classes=classes))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
