"""Mistakes with puzzles and pose networks: tools/train.py says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

pytest.importorskip('mmpose')
from mmkd.networks import build_network  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'hsjp'


@pytest.fixture
def mistake(tool, error_line, tmp_path):
    """Run tools/train.py on a toy config with changes; its error line."""

    def run(name='toy_hsjp', **changes):
        config = Config.fromfile(CONFIGS / f'{name}.py')
        config.merge_from_dict(
            {
                'train_dataloader.batch_size': 2,
                'train_dataloader.dataset.num_samples': 2,
                'val_dataloader.dataset.num_samples': 2,
                'train_cfg.max_iters': 2,
                'train_cfg.val_interval': 2,
                'log_level': 'ERROR',
            }
        )
        config.merge_from_dict(changes)
        path = tmp_path / f'{name}_{tmp_path.name}.py'
        config.dump(path)
        work_dir = tmp_path / 'work'
        return error_line(tool('train').main, path, '--work-dir', work_dir)

    return run


def grids(grid):
    """The changes for another grid everywhere."""
    return {
        'model.head.decoder.grid_size': grid,
        'model.head.out_channels': grid[0] * grid[1],
        'train_dataloader.dataset.pipeline.4.grid_size': grid,
        'train_dataloader.dataset.pipeline.5.encoder.grid_size': grid,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (
            grids((3, 3)),
            'input size (64, 64) is not divisible by grid (3, 3): width 64 / '
            '3 columns, height 64 / 3 rows; set another grid_size or size',
        ),
        (
            grids((65, 2)),
            'input size (64, 64) is smaller than grid (65, 2), a patch would '
            'have no pixel; enlarge it or set another grid_size',
        ),
        (
            {'train_dataloader.dataset.pipeline.4.grid_size': (4, 4)},
            'key points (1, 16, 2) do not fit grid (2, 2), expected (1, 4, '
            '2); put mmkd.JigsawShuffle with grid_size=(2, 2) before',
        ),
        (
            {'train_dataloader.dataset.pipeline.3.input_size': (128, 128)},
            'lies outside the input (64, 64); set the same input_size in '
            'TopdownAffine and the codec',
        ),
        (
            {'model.test_cfg.flip_test': True},
            'flip_test=True, but patches have no flip pairs: a mirrored '
            'puzzle is another puzzle; set model.test_cfg=dict(flip_test=',
        ),
        (
            {'optim_wrapper.optimizer.lr': 1e30},
            'loss_kpt is nan: training stops before the step. Lower '
            'optim_wrapper.optimizer.lr',
        ),
    ],
    ids=['divisible', 'small', 'grids', 'outside', 'flip', 'nan'],
)
def test_puzzles(mistake, changes, words):
    assert words in mistake(**changes)


@pytest.fixture
def people(tmp_path):
    """Changes for an annotation file of one person without joints."""
    image = np.zeros((48, 40, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / 'one.png')
    content = dict(
        images=[dict(id=1, file_name='one.png', width=40, height=48)],
        annotations=[
            dict(
                id=1, image_id=1, category_id=1, iscrowd=0,
                bbox=[2, 2, 20, 24], area=480,
            )
        ],
        categories=[dict(id=1, name='person')],
    )  # fmt: skip
    (tmp_path / 'people.json').write_text(json.dumps(content))
    return {
        'train_dataloader.dataset': dict(
            _delete_=True,
            type='mmkd.CocoPersonCropDataset',
            data_root=str(tmp_path),
            ann_file='people.json',
            data_prefix=dict(img=''),
        )
    }


def test_annotation_without_key_points(mistake, people):
    line = mistake(**people)
    assert 'no person with require_keypoints=True' in line
    assert 'set require_keypoints=False to use all boxes' in line


def test_wrong_path(mistake, people):
    people['train_dataloader.dataset']['data_root'] = 'nowhere'
    line = mistake(**people)
    assert "ann_file='nowhere/people.json' does not exist" in line
    assert 'set data_root and ann_file' in line


def test_folder_without_people(mistake, people, tmp_path):
    people['train_dataloader.dataset'] = dict(
        _delete_=True,
        type='mmkd.PersonFolderDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img='nobody'),
    )
    line = mistake(**people)
    assert 'no image (.jpg' in line
    assert 'set data_root and data_prefix.img' in line


def starting_from(path):
    return {'model.backbone.init_cfg.checkpoint': str(path)}


def test_missing_pretrained_backbone(mistake):
    line = mistake('toy_finetune', **starting_from('no.pth'))
    assert line.startswith(
        'error: model.backbone.init_cfg.checkpoint="no.pth" does not exist: '
        'train that network first or correct the path'
    )


@pytest.mark.parametrize('case', ['wider', 'distilled'])
def test_backbone_of_another_network(mistake, tmp_path, case):
    """mmengine would warn, and train from scratch."""
    model = Config.fromfile(CONFIGS / 'toy_scratch.py').model
    if case == 'wider':
        model.backbone.base_channels = 32
        model.head.in_channels = 256
    state = build_network(model).state_dict()
    if case == 'distilled':
        state = {f'student.{key}': value for key, value in state.items()}
    torch.save(state, tmp_path / 'other.pth')
    line = mistake('toy_finetune', **starting_from(tmp_path / 'other.pth'))
    assert 'error: model.backbone.init_cfg: only ' in line
    assert 'tensors of ResNet are in checkpoint=' in line
    assert 'Give the file of a network like this one' in line
