"""The page on pretraining from a folder of images, run on synthetic files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmkd.checkpoints.read import read_checkpoint
from mmkd.registry import MODELS
from tests.support import own_data
from tests.support.page_runs import ROOT, Page

pytest.importorskip('mmpretrain')
NAMES = ['finch', 'heron', 'owl']
LABELLED = {
    'MMKD=~/mmkd': f'MMKD={ROOT}',
    'workers = 4': 'workers = 0',
    'batch_size = 64': 'batch_size = 4',
    'max_epochs = 100': 'max_epochs = 1',
    'size = 224': 'size = 32',
    'interval=10,': 'interval=1,',
    'val_interval=5': 'val_interval=1',
}
UNLABELLED = {
    'MMKD=~/mmkd': f'MMKD={ROOT}',
    'workers = 4': 'workers = 0',
    'batch_size = 64': 'batch_size = 8',
    'group_size = 16': 'group_size = 4',
    'queue_size = 4096': 'queue_size = 20',
    'max_epochs = 200': 'max_epochs = 2',
    'size = 224': 'size = 32',
    'interval=10,': 'interval=1,',
}


def pages(folder: Path) -> Page:
    """The section, with the data that it and the other page describe."""
    project = folder / 'project'
    own_data.write_class_folders(folder / 'birds', NAMES)
    for name in NAMES:  # any folders
        own_data.write_class_folders(folder / 'photos' / name, [name])
    labelled = Page.read('your_data/classification.md').replaced(
        {
            '/data/birds': str(folder / 'birds'),
            '/projects/birds': str(project),
            **LABELLED,
        }
    )
    project.mkdir()
    (project / 'data.py').write_text(labelled.files['data.py'])
    section = Page.read('self_supervised.md', 'From a folder of images')
    return section.replaced(
        {
            '/data/photos': str(folder / 'photos'),
            '/projects/birds': str(project),
            **UNLABELLED,
        }
    )


def test_images_of_all_folders_are_read(tmp_path: Path) -> None:
    page = pages(tmp_path)
    page.write(tmp_path / 'project')
    config = Config.fromfile(tmp_path / 'project' / 'pretrain.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(config.train_dataloader.dataset)
        model = MODELS.build(config.model)
    assert len(dataset) == 3 * sum(own_data.SPLITS.values())
    views = dataset[0]['inputs']
    assert [tuple(view.shape) for view in views] == [(3, 32, 32)] * 2
    assert not torch.equal(*views)
    assert 'gt_label' not in dataset[0]['data_samples']
    assert len(model.followers['key']) == 2


@pytest.mark.slow
def test_folder_of_images_pretrains(tmp_path: Path) -> None:
    page = pages(tmp_path)
    project = tmp_path / 'project'
    printed = page.run(project)
    assert printed.count('last epoch: top-1') == 2
    assert 'accuracy/top1' in printed
    student = read_checkpoint(project / 'work_dirs/pretrain/student.pth')
    state = student['state_dict']
    assert all(key.startswith('backbone.') for key in state)
    linear = read_checkpoint(project / 'work_dirs/linear/epoch_1.pth')
    for key, value in state.items():  # frozen, statistics too
        assert torch.equal(linear['state_dict'][key], value), key
