"""The pages "Your model, your data", run on synthetic files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmkd.checkpoints.read import read_checkpoint
from mmkd.registry import MODELS
from tests.support import own_data
from tests.support.page_runs import ROOT, Page

JOINTS = dict(
    nose='head_top', left_ear='left_wrist', right_ear='right_wrist',
    tail='neck',
)  # fmt: skip


@dataclass
class Case:
    """What a page needs to run quickly here.

    Args:
        name: of its folders: ``/data/NAME``, ``/projects/NAME``.
        scope: the task repository.
        write_data: writes the files that the page describes.
        last: the last checkpoint that the page names, and that of the test.
        depths: which ResNets start from downloaded weights, by address.
        printed: ends up on screen: metrics, and what ``use.py`` found.
        changes: text of the page -> text of the test.
    """

    name: str
    scope: str
    write_data: Callable[[Path], None]
    last: tuple[str, str]
    depths: dict[str, int]
    printed: tuple[str, ...]
    changes: dict[str, str] = field(default_factory=dict)

    def page(self, folder: Path) -> Page:
        """The page with folders below ``folder``, small."""
        changes = {
            f'/data/{self.name}': str(folder / 'data'),
            f'/projects/{self.name}': str(folder / 'project'),
            'MMKD=~/mmkd': f'MMKD={ROOT}',
            'workers = 4': 'workers = 0',
            self.last[0]: self.last[1],
            **self.changes,
        }
        for address in self.depths:
            changes[address] = str(folder / f'{address.split("//")[1]}.pth')
        return Page.read(f'your_data/{self.task}.md').replaced(changes)

    @property
    def task(self) -> str:
        return next(task for task, case in CASES.items() if case is self)


RESNETS = {'torchvision://resnet50': 50, 'torchvision://resnet18': 18}
CASES = dict(
    classification=Case(
        name='birds',
        scope='mmpretrain',
        write_data=lambda root: own_data.write_class_folders(
            root, ['finch', 'heron', 'owl']
        ),
        last=('epoch_100.pth', 'epoch_1.pth'),
        depths=RESNETS,
        printed=('accuracy/top1', 'finch/0000.jpg'),
        changes={
            'max_epochs = 100': 'max_epochs = 1',
            'batch_size = 64': 'batch_size = 4',
            'size = 224': 'size = 64',
            'interval=10,': 'interval=1,',
            'val_interval=5': 'val_interval=1',
        },
    ),
    segmentation=Case(
        name='plants',
        scope='mmseg',
        write_data=lambda root: own_data.write_masks(root, 3),
        last=('iter_20000.pth', 'iter_2.pth'),
        depths={
            'open-mmlab://resnet50_v1c': 50,
            'open-mmlab://resnet18_v1c': 18,
        },
        printed=('mIoU', "'soil', 'crop', 'weed'"),
        changes={
            'max_iters = 20000': 'max_iters = 2',
            'interval=2000': 'interval=2',
            'crop_size = (512, 512)': 'crop_size = (64, 64)',
            'scale=(1024, 1024)': 'scale=(80, 80)',
            'batch_size = 8': 'batch_size = 2',
        },
    ),
    pose=Case(
        name='mice',
        scope='mmpose',
        write_data=lambda root: own_data.write_coco_keypoints(
            root, 'mouse', JOINTS
        ),
        last=('epoch_100.pth', 'epoch_1.pth'),
        depths=RESNETS,
        printed=('coco/AP', 'left_ear [', 'tail ['),
        changes={
            'max_epochs = 100': 'max_epochs = 1',
            'batch_size = 32': 'batch_size = 2',
            'input_size = (192, 256)': 'input_size = (64, 64)',
            'heatmap_size = (48, 64)': 'heatmap_size = (16, 16)',
            'interval=10,': 'interval=1,',
            'val_interval=10)': 'val_interval=1)',
        },
    ),
    detection=Case(
        name='fruit',
        scope='mmdet',
        write_data=lambda root: own_data.write_coco(root, ['apple', 'pear']),
        last=('epoch_24.pth', 'epoch_1.pth'),
        depths=RESNETS,
        printed=('coco/bbox_mAP', "'apple', 'pear'"),
        changes={
            'max_epochs = 24': 'max_epochs = 1',
            'scale = (1333, 800)': 'scale = (80, 64)',
            # two steps of training leave all scores below the threshold
            'bbox_head=dict(num_classes=_base_.num_classes)': (
                'bbox_head=dict(num_classes=_base_.num_classes), '
                'test_cfg=dict(score_thr=0.0)'
            ),
            'batch_size = 4': 'batch_size = 2',
            'interval=2,': 'interval=1,',
            'val_interval=2)': 'val_interval=1)',
        },
    ),
)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    case = CASES[request.param]
    pytest.importorskip(case.scope)
    return case


@pytest.mark.slow
def test_configs_of_a_page_read_its_data(case: Case, tmp_path: Path) -> None:
    """The quick part: bases exist, files and labels are found."""
    page = case.page(tmp_path)
    page.write(tmp_path / 'project')
    case.write_data(tmp_path / 'data')
    import_module(f'{case.scope}.utils').register_all_modules(False)
    configs = {
        name: Config.fromfile(tmp_path / 'project' / name)
        for name in ('teacher.py', 'student.py', 'distill.py')
    }
    distill = configs['distill.py']
    assert distill.model.type == 'mmkd.OfflineDistiller'
    assert distill.model.teacher.config == str(tmp_path / 'project/teacher.py')
    for key in ('train_dataloader', 'val_dataloader'):
        assert distill[key] == configs['teacher.py'][key]
        with DefaultScope.overwrite_default_scope(case.scope):
            dataset = DATASETS.build(distill[key].dataset)
        split = key.partition('_')[0]
        folders = 3 if case.task == 'classification' else 1
        assert len(dataset) == folders * own_data.SPLITS[split]
        assert dataset[0]['inputs'].shape[0] == 3


@pytest.mark.slow
def test_page_runs(case: Case, tmp_path: Path) -> None:
    page = case.page(tmp_path)
    case.write_data(tmp_path / 'data')
    write_pretrained(case, tmp_path)
    project = tmp_path / 'project'
    printed = page.run(project)
    for text in case.printed:
        assert text in printed
    exported = next(project.glob('*.pth'))  # by the tool
    hooked = project / 'work_dirs' / 'distill' / 'student.pth'
    one, two = (read_checkpoint(path) for path in (exported, hooked))
    alone = read_checkpoint(project / 'work_dirs/student' / case.last[1])
    for other in (two, alone):
        assert one['state_dict'].keys() == other['state_dict'].keys()
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key])


def write_pretrained(case: Case, folder: Path) -> None:
    """Put random weights where a user's would be downloaded to."""
    for address, depth in case.depths.items():
        name = address.split('//')[1]
        if name.endswith('v1c'):
            from mmseg.models.backbones import ResNetV1c

            network = ResNetV1c(depth=depth, num_stages=4)
        else:
            network = getattr(torchvision.models, name)(weights=None)
        torch.save(network.state_dict(), folder / f'{name}.pth')


HSJP = {
    'MMKD=~/mmkd': f'MMKD={ROOT}',
    'grid = (4, 3)': 'grid = (2, 2)',
    'sigma=2,': 'sigma=1,',
    'epoch_100.pth': 'epoch_1.pth',
}


def hsjp_pages(folder: Path) -> tuple[Page, Page]:
    """The page of pose and the section of HSJP, with their data."""
    pose = CASES['pose']
    pose.write_data(folder / 'data')
    for split in ('train', 'val'):
        own_data.write_crops(folder / 'crops' / split)
    places = {
        '/data/mouse-crops': str(folder / 'crops'),
        '/projects/mice': str(folder / 'project'),
    }
    section = Page.read('hsjp.md', 'From a folder of crops')
    pages = pose.page(folder), section.replaced({**places, **HSJP})
    for page in pages:
        page.write(folder / 'project')
    return pages


def test_puzzles_of_a_folder_are_read(tmp_path: Path) -> None:
    pytest.importorskip('mmpose')
    hsjp_pages(tmp_path)
    config = Config.fromfile(tmp_path / 'project' / 'puzzle.py')
    with DefaultScope.overwrite_default_scope('mmpose'):
        dataset = DATASETS.build(config.train_dataloader.dataset)
        network = MODELS.build(config.model)
    assert len(dataset) == own_data.SPLITS['train']
    maps = dataset[0]['data_samples'].gt_fields.heatmaps
    assert maps.shape == (4, 16, 16)
    assert network.head.final_layer.out_channels == 4


@pytest.mark.slow
def test_folder_of_crops_pretrains(tmp_path: Path) -> None:
    pytest.importorskip('mmpose')
    _, section = hsjp_pages(tmp_path)
    write_pretrained(CASES['pose'], tmp_path)
    printed = section.run(tmp_path / 'project')
    assert 'jigsaw/patch_accuracy' in printed
    assert 'coco/AP' in printed
    published = read_checkpoint(tmp_path / 'project' / 'backbone.pth')
    assert all(key.startswith('backbone.') for key in published['state_dict'])
