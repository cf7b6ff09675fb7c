from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from mmkd.toys import JOINTS, OBJECTS, SEG_CLASSES, Scene, make_scene

FIGURE = OBJECTS.index('figure')
SCENES = [make_scene(i, size=(64, 80), num_objects=5) for i in range(40)]


def digest(scene: Scene) -> str:
    md5 = hashlib.md5()
    for field in fields(scene):
        md5.update(np.asarray(getattr(scene, field.name)).tobytes())
    return md5.hexdigest()


def test_same_numbers_same_scene_in_another_process() -> None:
    code = (
        'from tests.test_toys.test_scenes import digest;'
        'from mmkd.toys import make_scene;'
        'print(digest(make_scene(7, size=(64, 80), num_objects=5)))'
    )
    other = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=str(pytest.importorskip('mmkd').__path__[0]) + '/..',
    )
    assert other.stdout.strip() == digest(SCENES[7])


@pytest.mark.parametrize(
    'changed', [dict(index=4), dict(seed=1), dict(clutter=0.0)]
)
def test_other_numbers_other_scene(changed: dict) -> None:
    given = dict(index=3, size=(64, 80), num_objects=5, seed=0, clutter=1.0)
    assert digest(make_scene(**given)) == digest(SCENES[3])
    assert digest(make_scene(**{**given, **changed})) != digest(SCENES[3])


def test_scenes_cannot_be_changed_by_their_users() -> None:
    with pytest.raises(ValueError, match='read-only'):
        SCENES[0].image[0, 0, 0] = 0


def test_shapes_and_types() -> None:
    for scene in SCENES:
        assert scene.image.shape == (64, 80, 3)
        assert scene.image.dtype == scene.seg_map.dtype == np.uint8
        assert scene.seg_map.shape == scene.instance_map.shape == (64, 80)
        assert 0 <= scene.label < len(OBJECTS)
        assert scene.seg_map.max() < len(SEG_CLASSES)
        assert scene.keypoints.shape[1:] == (len(JOINTS), 2)
        assert scene.visibility.shape == scene.keypoints.shape[:2]


def test_boxes_hold_exactly_the_visible_pixels() -> None:
    count = 0
    for scene in SCENES:
        for box, number in zip(scene.boxes, scene.instance_ids, strict=True):
            ys, xs = np.nonzero(scene.instance_map == number)
            assert box.tolist() == [
                xs.min(), ys.min(), xs.max() + 1, ys.max() + 1,
            ]  # fmt: skip
            count += 1
    assert count > 100


def test_classes_of_boxes_and_mask_agree() -> None:
    for scene in SCENES:
        assert ((scene.seg_map > 0) == (scene.instance_map > 0)).all()
        for label, number in zip(
            scene.box_labels, scene.instance_ids, strict=True
        ):
            seen = scene.seg_map[scene.instance_map == number]
            assert (seen == label + 1).all()


def test_visible_joints_lie_on_their_figure() -> None:
    states = set()
    for scene in SCENES:
        for joints, states_, number in zip(
            scene.keypoints, scene.visibility, scene.figure_ids, strict=True
        ):
            for (x, y), state in zip(
                np.rint(joints).astype(int), states_, strict=True
            ):
                inside = 0 <= x < 80 and 0 <= y < 64
                owner = scene.instance_map[y, x] if inside else None
                expected = (owner == number) + 1 if inside else 0
                assert state == expected
                states.add(int(state))
    assert states == {0, 1, 2}


def test_joints_hidden_by_a_nearer_object_are_marked() -> None:
    """Each hidden joint is on something painted after the figure."""
    for scene in SCENES:
        for joints, states, number in zip(
            scene.keypoints, scene.visibility, scene.figure_ids, strict=True
        ):
            for x, y in np.rint(joints[states == 1]).astype(int):
                assert scene.instance_map[y, x] > number


def test_a_figure_that_nothing_hides_shows_every_joint_inside() -> None:
    for i in range(20):
        scene = make_scene(i, num_objects=1, main_class=FIGURE)
        assert scene.label == FIGURE
        assert set(scene.visibility[0].tolist()) <= {0, 2}


def test_left_and_right_of_a_figure_that_faces_the_viewer() -> None:
    left, right = JOINTS.index('left_hip'), JOINTS.index('right_hip')
    for i in range(20):
        joints = make_scene(i, main_class=FIGURE).keypoints[0]
        assert joints[left, 0] > joints[right, 0]


def test_label_is_the_given_main_class() -> None:
    for category in range(len(OBJECTS)):
        assert make_scene(5, main_class=category).label == category


def test_every_class_occurs() -> None:
    seen = np.unique(np.concatenate([s.seg_map.ravel() for s in SCENES]))
    assert seen.tolist() == list(range(len(SEG_CLASSES)))
    assert len({scene.label for scene in SCENES}) == len(OBJECTS)


def test_colour_does_not_give_the_class_away() -> None:
    """Nearest mean colour of a class is no better than guessing."""
    colours, labels = [], []
    for i in range(300):
        scene = make_scene(i, size=(48, 48), num_objects=1, clutter=0.0)
        colours.append(scene.image[scene.seg_map > 0].mean(axis=0))
        labels.append(scene.label)
    colour, label = np.array(colours), np.array(labels)
    half = len(label) // 2
    means = np.stack(
        [colour[:half][label[:half] == k].mean(0) for k in range(len(OBJECTS))]
    )
    distance = np.linalg.norm(colour[half:, None] - means, axis=-1)
    accuracy = (distance.argmin(1) == label[half:]).mean()
    assert accuracy < 0.27  # 1/7 by chance, 4 standard deviations above


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(index=-1), 'index=-1'),
        (dict(size=(16, 64)), r'size=\(16, 64\)'),
        (dict(num_objects=0), 'num_objects=0'),
        (dict(main_class=9), 'main_class=9'),
        (dict(clutter=2.0), 'clutter=2.0'),
    ],
)
def test_bad_arguments_are_named(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_scene(**{'index': 0, **changed})
