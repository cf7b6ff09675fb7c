"""What the data sets of synthetic scenes have in common."""

from __future__ import annotations

from typing import Any

# Scene numbers of the splits lie far apart, so that no scene is in two.
SPLIT_STARTS = dict(train=0, val=10**6, test=2 * 10**6)


class SceneDataset:
    """First base of a data set of scenes; the second one is a repository's.

    ``requests`` are the keywords of `cached_scene` for each scene.

    Args:
        num_samples: number of scenes.
        size: (height, width) in pixels; has a default for each task.
        num_objects: objects in each scene; has a default for each task.
        seed: number of the collection of scenes.
        split: 'train', 'val' or 'test'.
        clutter: strokes and patches on the ground, 0 to 1.
        kwargs: arguments of the repository's base class.

    Raises:
        ValueError: unknown split or less than one sample.
    """

    default_size = (96, 128)
    default_objects = 5
    #: index of the class of the largest object; by default any
    main_class: int | None = None

    def __init__(
        self,
        num_samples: int = 500,
        size: tuple[int, int] | None = None,
        num_objects: int | None = None,
        seed: int = 0,
        split: str = 'train',
        clutter: float = 1.0,
        **kwargs: Any,
    ) -> None:
        if split not in SPLIT_STARTS:
            raise ValueError(
                f'synthetic data set: split={split!r} is unknown; set it to '
                f'one of {tuple(SPLIT_STARTS)}'
            )
        if num_samples < 1:
            raise ValueError(
                f'synthetic data set: num_samples={num_samples} must be at '
                'least 1; set it in the data set'
            )
        height, width = size or self.default_size
        if num_objects is None:
            num_objects = self.default_objects
        self.requests: list[dict[str, Any]] = [
            dict(
                index=SPLIT_STARTS[split] + i,
                size=(int(height), int(width)),
                num_objects=num_objects,
                seed=seed,
                main_class=self.main_class,
                clutter=clutter,
            )
            for i in range(num_samples)
        ]
        super().__init__(**{'ann_file': '', **kwargs})
