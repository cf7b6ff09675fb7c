"""Small synthetic scenes with the labels of all four tasks.

A scene is a pure function of its index and seed: the same numbers give
the same scene in every process. Colour and texture are drawn independently
of the class, so that only the shape tells the classes apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import cv2
import numpy as np

from mmkd.toys.shapes import OBJECTS, draw_object
from mmkd.toys.textures import paint_clutter, paint_ground, paint_texture

SEG_CLASSES = ('ground', *OBJECTS)
NUM_JOINTS = 14
MIN_VISIBLE_PIXELS = 12
MIN_VISIBLE_SHARE = 0.25


@dataclass(frozen=True)
class Scene:
    """One image and everything that is known about it.

    Shape:
        image: (H, W, 3), uint8, blue-green-red.
        seg_map: (H, W), uint8; 0 is ground, 1 + i object class i.
        instance_map: (H, W), uint8; 0 is ground, i the i-th drawn object.
        boxes: (N, 4), float32, (x1, y1, x2, y2) in pixels around the
            visible pixels, right and lower edge exclusive.
        box_labels: (N,), int64, object class; instance_ids: (N,), the
            value of the object in ``instance_map``.
        keypoints: (M, 14, 2), float32, (x, y) in pixels, main figure first.
        visibility: (M, 14), int64; 2 visible, 1 hidden by a nearer object,
            0 outside the image.
        figure_ids: (M,), the figures' values in ``instance_map``.
    """

    image: np.ndarray
    label: int
    seg_map: np.ndarray
    instance_map: np.ndarray
    boxes: np.ndarray
    box_labels: np.ndarray
    instance_ids: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    figure_ids: np.ndarray


def make_scene(
    index: int,
    size: tuple[int, int] = (96, 128),
    num_objects: int = 5,
    seed: int = 0,
    main_class: int | None = None,
    clutter: float = 1.0,
) -> Scene:
    """Draw scene number ``index``.

    Objects are painted from far to near. The main object is the largest;
    its class is the label of the scene. It is painted last or last but one.

    Args:
        index: number of the scene, >= 0.
        size: (height, width) in pixels, each >= 32.
        num_objects: objects drawn, the main object included, 1 to 200.
        seed: number of the whole collection, >= 0.
        main_class: class of the main object; drawn at random if None.
        clutter: strokes and patches on the ground, 0 (none) to 1 (many).

    Raises:
        ValueError: an argument is out of range.
    """
    height, width = _checked(index, size, num_objects, seed, main_class)
    if not 0 <= clutter <= 1:
        raise ValueError(
            f'make_scene: clutter={clutter} must be 0 to 1; set it in the '
            'data set'
        )
    rng = np.random.default_rng((seed, index))
    image = paint_ground(rng, height, width)
    paint_clutter(rng, image, clutter)

    classes = rng.integers(len(OBJECTS), size=num_objects)
    main = num_objects - 1 - int(num_objects > 1 and rng.random() < 0.5)
    if main_class is not None:
        classes[main] = main_class
    seg_map = np.zeros((height, width), np.uint8)
    instance_map = np.zeros((height, width), np.uint8)
    joints: dict[int, np.ndarray] = {}
    areas = []
    for i, category in enumerate(classes.tolist()):
        mask, pose = draw_object(
            rng, OBJECTS[category], height, width, is_main=i == main
        )
        inside = mask.astype(bool)
        paint_texture(rng, image, mask)
        seg_map[inside] = category + 1
        instance_map[inside] = i + 1
        areas.append(int(inside.sum()))
        if pose is not None:
            joints[i] = pose

    image = _photograph(rng, image)
    boxes, instance_ids = _visible_boxes(instance_map, areas)
    figures = sorted(joints, key=lambda i: (i != main, i))
    keypoints = np.array([joints[i] for i in figures], np.float32)
    keypoints = keypoints.reshape(-1, NUM_JOINTS, 2)
    figure_ids = np.array(figures, np.int64) + 1
    scene = Scene(
        image=image,
        label=int(classes[main]),
        seg_map=seg_map,
        instance_map=instance_map,
        boxes=boxes,
        box_labels=classes[instance_ids - 1].astype(np.int64),
        instance_ids=instance_ids,
        keypoints=keypoints,
        visibility=_visibility(keypoints, figure_ids, instance_map),
        figure_ids=figure_ids,
    )
    for field in fields(scene):
        value = getattr(scene, field.name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return scene


@lru_cache(maxsize=4096)
def cached_scene(
    index: int,
    size: tuple[int, int],
    num_objects: int,
    seed: int,
    main_class: int | None = None,
    clutter: float = 1.0,
) -> Scene:
    """:func:`make_scene`, remembering the last 4096 scenes."""
    return make_scene(index, size, num_objects, seed, main_class, clutter)


def _checked(
    index: int,
    size: tuple[int, int],
    num_objects: int,
    seed: int,
    main_class: int | None,
) -> tuple[int, int]:
    if index < 0 or seed < 0:
        raise ValueError(
            f'make_scene: index={index} and seed={seed} must both be >= 0; '
            'number scenes and collections from 0'
        )
    if len(size) != 2 or min(size) < 32:
        raise ValueError(
            f'make_scene: size={tuple(size)} must be (height, width), each '
            'at least 32 pixels; objects are not recognisable below that'
        )
    if not 1 <= num_objects <= 200:
        raise ValueError(
            f'make_scene: num_objects={num_objects} must be 1 to 200; set '
            'it in the data set'
        )
    if main_class is not None and not 0 <= main_class < len(OBJECTS):
        raise ValueError(
            f'make_scene: main_class={main_class} must be None or 0 to '
            f'{len(OBJECTS) - 1}, an index into {OBJECTS}'
        )
    return int(size[0]), int(size[1])


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Uneven light, a little blur and sensor noise."""
    height, width = image.shape[:2]
    light = rng.uniform(0.65, 1.15, size=(2, 2)).astype(np.float32)
    shade = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    out = cv2.GaussianBlur(image, (3, 3), 0.7) * shade[..., None]
    out += rng.standard_normal(image.shape, dtype=np.float32) * 7
    return np.clip(out, 0, 255).astype(np.uint8)


def _visible_boxes(
    instance_map: np.ndarray, areas: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the objects that are visible enough to be labelled."""
    boxes, ids = [], []
    for i, area in enumerate(areas, start=1):
        ys, xs = np.nonzero(instance_map == i)
        if len(ys) >= max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_SHARE * area):
            boxes.append((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
            ids.append(i)
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(ids, np.int64),
    )


def _visibility(
    keypoints: np.ndarray, figure_ids: np.ndarray, instance_map: np.ndarray
) -> np.ndarray:
    height, width = instance_map.shape
    x, y = np.rint(keypoints).astype(np.int64).transpose(2, 0, 1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    owner = instance_map[y.clip(0, height - 1), x.clip(0, width - 1)]
    visible = owner == figure_ids[:, None]
    return np.where(inside, np.where(visible, 2, 1), 0)
