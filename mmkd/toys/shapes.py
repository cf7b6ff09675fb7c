"""Outlines of the objects in synthetic scenes."""

from __future__ import annotations

import cv2
import numpy as np

OBJECTS = ('disc', 'square', 'triangle', 'ring', 'cross', 'star', 'figure')
JOINTS = (
    'head_top', 'neck', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip',
    'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
)  # fmt: skip
LIMBS = (
    (0, 1), (1, 2), (1, 3), (2, 4), (4, 6), (3, 5), (5, 7), (2, 8), (3, 9),
    (8, 9), (8, 10), (10, 12), (9, 11), (11, 13),
)  # fmt: skip
_SHIFT = 4  # fractional bits of polygon corners


def draw_object(
    rng: np.random.Generator,
    name: str,
    height: int,
    width: int,
    is_main: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw one object of random place, size and rotation.

    Returns:
        mask (H, W), uint8, 1 inside; and the 14 joints (14, 2) in pixels
        of a figure, None for the other objects.
    """
    side = min(height, width)
    if is_main:
        radius = rng.uniform(0.25, 0.36) * side
        low, high = 0.32, 0.68
    else:
        radius = rng.uniform(0.12, 0.22) * side
        low, high = 0.05, 0.95
    centre = rng.uniform(low, high, size=2) * (width, height)
    mask = np.zeros((height, width), np.uint8)
    if name == 'figure':
        joints = _pose(rng) * (1.2 * radius) + centre
        _draw_figure(mask, joints, radius)
        return mask, joints.astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    squeeze = rng.uniform(0.75, 1.0)
    transform = _rotation(angle) * (radius, radius * squeeze)
    contours = [
        _fixed_point(contour @ transform.T + centre)
        for contour in _contours(rng, name)
    ]
    cv2.fillPoly(mask, contours, 1, shift=_SHIFT)
    return mask, None


def _rotation(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _fixed_point(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def _circle(num_points: int, radius: float = 1.0) -> np.ndarray:
    angles = np.arange(num_points) * (2 * np.pi / num_points)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _contours(rng: np.random.Generator, name: str) -> list[np.ndarray]:
    """Closed outlines inside the unit circle; a second one is a hole."""
    if name == 'disc':
        return [_circle(32)]
    if name == 'square':
        return [_circle(4)]
    if name == 'triangle':
        return [_circle(3)]
    if name == 'ring':
        return [_circle(32), _circle(32, rng.uniform(0.45, 0.65))]
    if name == 'star':
        points = _circle(10)
        points[1::2] *= rng.uniform(0.4, 0.5)
        return [points]
    arm = rng.uniform(0.25, 0.38)
    corner = np.array([[1.0, -arm], [1.0, arm], [arm, arm]])
    turns = [corner @ _rotation(k * np.pi / 2).T for k in range(4)]
    return [np.concatenate(turns)]


def _direction(angle: float, side: int) -> np.ndarray:
    """Unit vector; angle 0 points down, positive angles outwards."""
    return np.array([side * np.sin(angle), np.cos(angle)])


def _pose(rng: np.random.Generator) -> np.ndarray:
    """Joints (14, 2) of a figure that faces the viewer, height about 2.

    Its left side is on the right of the image.
    """
    joints = np.zeros((len(JOINTS), 2))
    joints[0] = (0.0, -1.0)
    joints[1] = (0.0, -0.58)
    for k, side in enumerate((1, -1)):
        shoulder = np.array([0.24 * side, -0.5])
        hip = np.array([0.16 * side, 0.08])
        upper = rng.uniform(0.1, 2.6)
        elbow = shoulder + 0.34 * _direction(upper, side)
        lower = upper + rng.uniform(-0.4, 1.5)
        wrist = elbow + 0.32 * _direction(lower, side)
        thigh = rng.uniform(0.0, 0.7)
        knee = hip + 0.46 * _direction(thigh, side)
        shin = thigh - rng.uniform(0.0, 0.6)
        ankle = knee + 0.44 * _direction(shin, side)
        joints[2 + k], joints[4 + k], joints[6 + k] = shoulder, elbow, wrist
        joints[8 + k], joints[10 + k], joints[12 + k] = hip, knee, ankle
    return joints @ _rotation(rng.uniform(-0.35, 0.35)).T


def _draw_figure(mask: np.ndarray, joints: np.ndarray, radius: float) -> None:
    thickness = max(2, round(0.16 * radius))
    points = _fixed_point(joints)
    torso = points[[2, 3, 9, 8]]
    cv2.fillPoly(mask, [torso], 1, shift=_SHIFT)
    for start, end in LIMBS:
        cv2.line(
            mask, points[start].tolist(), points[end].tolist(), 1,
            thickness, shift=_SHIFT,
        )  # fmt: skip
    head = _fixed_point((joints[0] * 0.55 + joints[1] * 0.45)[None])[0]
    size = int(0.24 * radius * (1 << _SHIFT))
    cv2.circle(mask, head.tolist(), size, 1, -1, shift=_SHIFT)
