"""Where a network has what a method compares: taps, found by running it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import nn

from mmkd.cli.frames import walk
from mmkd.inputs import input_shapes
from mmkd.networks import build_network
from mmkd.training_heads import query_head_runs
from mmkd.utils.meta_copy import COPIES, run_copy

Shape = tuple[int, ...]
_ROWS = 2


@dataclass(frozen=True)
class Place:
    """A tap and what it gives.

    Args:
        path: of the tap, or paths.
        shapes: of the tensor, or of each of several.
    """

    path: str
    shapes: tuple[Shape, ...]

    @property
    def channels(self) -> tuple[int, ...]:
        """Dimension 1 of each."""
        return tuple(shape[1] for shape in self.shapes)

    @property
    def sizes(self) -> tuple[Shape, ...]:
        """Height and width of each."""
        return tuple(shape[2:] for shape in self.shapes)


@dataclass
class Places:
    """The places of one network that the methods know of.

    Args:
        classes: number of classes or key points, or None.
        found: ``logits``, ``feats`` (before the classifier), ``maps`` (last
            map of the backbone), ``pyramid`` -> place.
        kind: of the output: ``'logits'``, ``'heatmaps'``, ``'bins'``, or
            the class of a head that gives none of these.
        image: (H, W) of the images that it was shown.
    """

    classes: int | None
    kind: str
    found: dict[str, Place] = field(default_factory=dict)
    image: tuple[int, int] = (0, 0)

    def strides(self, name: str) -> list[int]:
        """Return the pixels of the image per position of every map."""
        return [
            _stride(self.image[0], size[0]) for size in self.found[name].sizes
        ]


def _stride(image: int, size: int) -> int:
    """Return a stride that gives ``size``, a power of 2 if one does."""
    power = 2 ** round(math.log2(image / size))
    return power if math.ceil(image / power) == size else round(image / size)


def bare(model: Any) -> Any:
    """Return a copy of a network's dict that loads no weights."""
    model = copy.deepcopy(model)
    for _, entry in walk(model, 'model'):
        if not isinstance(entry, dict):
            continue
        given = entry.get('init_cfg')
        entries = given if isinstance(given, (list, tuple)) else [given]
        if any(isinstance(e, Mapping) and 'checkpoint' in e for e in entries):
            entry['init_cfg'] = None
        if isinstance(entry.get('pretrained'), (str, bool)):
            entry['pretrained'] = None
            if entry['type'] == 'TimmClassifier':
                entry['pretrained'] = False
    return model


@dataclass
class _Call:
    path: str
    kind: str
    inputs: list[Shape]
    outputs: list[Shape]
    plain: bool  # the input is a tensor, in no tuple


def find_places(model: ConfigDict, task: str, role: str) -> Places:
    """Build a network without weights, run it without storage, look.

    Args:
        model: dict of the network.
        task: a task of `mmkd.apis.tasks.SCOPES`.
        role: ``'student'`` or ``'teacher'``, for messages.

    Raises:
        ValueError: the network does not run.
    """
    network = build_network(bare(model))
    calls, image = _run(network, role)
    finders = dict(
        classification=_classification,
        segmentation=_segmentation,
        pose=_pose,
        detection=_detection,
    )
    places = finders[task](network, calls)
    places.image = image
    return places


def _run(network: nn.Module, role: str) -> tuple[list[_Call], tuple[int, int]]:
    """Return all calls, in the order of their ends, and the image's size."""
    failed: Exception | None = None
    for shape in input_shapes(network):
        for make in COPIES:
            calls: list[_Call] = []
            clone = make(network).eval()
            for path, module in clone.named_modules():
                module.register_forward_hook(_recorder(path, calls))
            try:
                with (
                    torch.no_grad(),
                    torch.random.fork_rng(devices=[]),
                    query_head_runs(clone),
                ):
                    run_copy(clone, _ROWS, shape)
            except Exception as error:  # any operator may refuse
                failed = failed or error
                continue
            return calls, (shape[1], shape[2])
    raise ValueError(
        f'the {role} ({type(network).__name__}) does not run on images of '
        f'{input_shapes(network)[0]} ({failed}): correct its config'
    )


def _recorder(path: str, calls: list[_Call]) -> Any:
    def record(module: nn.Module, args: Any, output: Any) -> None:
        calls.append(
            _Call(
                path,
                type(module).__name__,
                list(_shapes(args)),
                list(_shapes(output)),
                len(args) == 1 and isinstance(args[0], torch.Tensor),
            )
        )

    return record


def _shapes(value: Any) -> Iterator[Shape]:
    if isinstance(value, torch.Tensor):
        yield tuple(value.shape)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _shapes(entry)


def _last(
    calls: Sequence[_Call], prefix: str, ndim: int, channels: int | None
) -> _Call | None:
    """Return the last module that gives one tensor of that form."""
    for call in reversed(calls):
        if (
            call.path.startswith(prefix)
            and call.kind not in ('Dropout', 'Softmax', 'Identity')
            and len(call.outputs) == 1
            and len(call.outputs[0]) == ndim
            and channels in (None, call.outputs[0][1])
            and sum(other.path == call.path for other in calls) == 1
        ):
            return call
    return None


def _add_logits(
    places: Places, call: _Call | None, ndim: int, kind: str = 'logits'
) -> Places:
    """Add the output of a classifier, and what it reads."""
    if call is None:
        return places
    places.kind = kind
    places.found['logits'] = Place(call.path, (call.outputs[0],))
    if call.plain and len(call.inputs[0]) == ndim:
        places.found['feats'] = Place(f'{call.path}:input', (call.inputs[0],))
    return places


def _add_maps(places: Places, calls: Sequence[_Call]) -> Places:
    """Add the last map of the backbone."""
    for call in calls:
        if call.path == 'backbone' and call.outputs:
            last = call.outputs[-1]
            if len(last) == 4:
                several = len(call.outputs) > 1
                path = 'backbone[-1]' if several else 'backbone'
                places.found['maps'] = Place(path, (last,))
    return places


def _classification(network: Any, calls: list[_Call]) -> Places:
    head: Any = getattr(network, 'head', None)
    classes: Any = getattr(head, 'num_classes', None)
    if classes is None:  # networks with their classifier inside
        classes = getattr(
            getattr(network, 'backbone', None), 'num_classes', None
        )
    call = None
    for prefix in ('head.', 'backbone.', 'model.'):
        call = call or _last(calls, prefix, 2, classes)
        if head is not None and classes is None:
            break
    if classes is None and call is not None:
        classes = call.outputs[0][1]
    places = Places(classes, type(head).__name__)
    return _add_maps(_add_logits(places, call, 2), calls)


def _segmentation(network: Any, calls: list[_Call]) -> Places:
    head: Any = network.decode_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    places = Places(head.num_classes, type(head).__name__)
    wanted = getattr(head, 'out_channels', head.num_classes)
    call = _last(calls, 'decode_head.', 4, wanted)
    if hasattr(head, 'query_embed') or hasattr(head, 'num_queries'):
        call = None  # masks of queries, in no order
    return _add_maps(_add_logits(places, call, 4), calls)


def _pose(network: Any, calls: list[_Call]) -> Places:
    head = network.head
    joints: Any = next(
        (
            getattr(head, name)
            for name in ('out_channels', 'num_joints', 'num_keypoints')
            if isinstance(getattr(head, name, None), int)
        ),
        None,
    )
    places = Places(joints, type(head).__name__)
    for path in ('head.cls_', 'head.mlp_head_'):  # of RTMPose, of SimCC
        bins = [c for c in calls if c.path in (f'{path}x', f'{path}y')]
        if len(bins) == 2:
            places.kind = 'bins'
            places.found['logits'] = Place(
                f'{path}{{x,y}}', tuple(call.outputs[0] for call in bins)
            )
            return _add_maps(places, calls)
    _add_logits(places, _last(calls, 'head.', 4, joints), 4, 'heatmaps')
    return _add_maps(places, calls)


def _detection(network: Any, calls: list[_Call]) -> Places:
    head = getattr(network, 'bbox_head', None)
    if head is None:
        head = getattr(getattr(network, 'roi_head', None), 'bbox_head', None)
        head = head[-1] if isinstance(head, nn.ModuleList) else head
    places = Places(getattr(head, 'num_classes', None), type(head).__name__)
    for path in ('neck', 'backbone'):
        for call in calls:
            maps = call.outputs
            if call.path == path and maps and all(len(m) == 4 for m in maps):
                places.found.setdefault('pyramid', Place(path, tuple(maps)))
    return _add_maps(places, calls)
