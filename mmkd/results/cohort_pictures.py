"""Pictures of a cohort: curves of the peers, maps of features, similarities.

Networks are given as (title, config, checkpoint), cohorts, which stand for
all their peers, as (config, checkpoint).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmkd.cli.config import read_config
from mmkd.deploy import deployed_network
from mmkd.evaluation.features import (
    Features,
    choose_classes,
    collect_features,
    data_loader,
    evaluation_split,
    frozen_network,
)
from mmkd.evaluation.projection import project
from mmkd.evaluation.similarity import similarity_matrix
from mmkd.networks import build_network, networks_of
from mmkd.results.curves import DEPLOYED, Curve, peer_curves, read_scalars
from mmkd.visualization import (
    plot_curves,
    plot_embedding_maps,
    plot_matrix,
)

Source = tuple[str, str, str, int | None]  # title, config, checkpoint, peer
TITLES = dict(
    cka='linear CKA of features',
    cosine='mean cosine of features',
    agreement='agreement of predictions',
)


def named_sources(
    networks: Sequence[Sequence[str]], cohorts: Sequence[Sequence[str]]
) -> list[Source]:
    """Return every network and every peer, each with a name.

    Raises:
        KeyError: the config of a cohort has none.
        ValueError: no network, or two of one name.
    """
    sources: list[Source] = [(n, c, path, None) for n, c, path in networks]
    for number, (name, path) in enumerate(cohorts):
        prefix = f'cohort{number} ' if len(cohorts) > 1 else ''
        peers = networks_of(read_config(name).model)
        if len(peers) < 2:
            raise KeyError(
                f'--cohort {name}: its model is no cohort; give a plain '
                'network by --network'
            )
        for k, label in enumerate(peers):
            sources.append((f'{prefix}{label}', name, path, k))
    names = [source[0] for source in sources]
    if len(set(names)) != len(names) or not names:
        raise ValueError(
            f'--network and --cohort name {names}: give at least one '
            'network, and every one another name'
        )
    return sources


def named_features(
    sources: Sequence[Source],
    data: Config,
    *,
    split: str | None = None,
    classes: Sequence[str] | None = None,
    with_predictions: bool = False,
    **options: Any,
) -> dict[str, Features]:
    """Return the features of every network.

    Args:
        sources: from `named_sources`.
        data: config with the dataloaders.
        split: of the data; default: that of the evaluation.
        classes: names, labels or ranges; default: all.
        with_predictions: collect the networks' classes too.
        options: of `frozen_network`.
    """
    split = split or evaluation_split(data)
    loader = data_loader(data, split, pipeline_of=evaluation_split(data))
    found = {}
    for name, config, checkpoint, peer in sources:
        network = frozen_network(
            read_config(config), checkpoint, data, peer=peer, **options
        )
        features = collect_features(
            network, loader, with_predictions=with_predictions
        )
        if classes:
            features = choose_classes(features, classes)
        found[name] = features
    return found


def draw_curves(
    runs: Sequence[str],
    metric: str,
    out: str | Path,
    x_label: str = 'epoch',
    from_zero: bool = False,
) -> list[str]:
    """Draw the metric of every peer; returns a line for each.

    Args:
        runs: work directories or logs, as PATH or NAME=PATH.
        metric: without the name of the peer.
        out: PNG file to write.
        x_label: label of the horizontal axes.
        from_zero: let the vertical axes begin at 0.

    Raises:
        ValueError: two runs have one name.
    """
    panels: dict[str, Mapping[str, Curve]] = {}
    lines = []
    for run in runs:
        name, _, path = run.rpartition('=')
        title = name or Path(path).name
        if f'{title}: {metric}' in panels:
            raise ValueError(f'two runs are called {title!r}: write NAME=PATH')
        curves = peer_curves(read_scalars(path), metric)
        panels[f'{title}: {metric}'] = curves
        for peer, (steps, values) in curves.items():
            lines.append(f'{title}, {peer}: {values[-1]:.2f} at {steps[-1]}')
    plot_curves(panels, out, x_label, from_zero=from_zero, dashed=[DEPLOYED])
    return lines


def draw_sizes(
    cohorts: Sequence[tuple[str, str]],
    metric: str,
    out: str | Path,
) -> list[str]:
    """Draw what every peer costs and reaches; returns a line for each.

    Args:
        cohorts: config and work directory (or log) of every run.
        metric: without the name of the peer; its last value is drawn.
        out: PNG file to write.

    Raises:
        KeyError: the log has no such metric of the peers.
    """
    curves: dict[str, Curve] = {}
    lines = []
    for name, path in cohorts:
        config = read_config(name)
        found = peer_curves(read_scalars(path), metric)
        sizes, values = [], []
        for index, label in enumerate(networks_of(config.model)):
            if label not in found:
                raise KeyError(
                    f'run "{path}" has no {label}/{metric}: evaluate the '
                    "peers by val_evaluator=dict(type='mmkd.PeerMetric', ...)"
                )
            network = build_network(deployed_network(config, index))
            sizes.append(sum(p.numel() for p in network.parameters()) / 1e3)
            values.append(found[label][1][-1])
            lines.append(
                f'{label}: {sizes[-1]:.1f} k parameters, {values[-1]:.2f}'
            )
        curves[Path(path).name] = sizes, values
    plot_curves({metric: curves}, out, 'parameters / 1000', from_zero=False)
    return lines


def draw_maps(
    networks: Mapping[str, Features],
    out: str | Path,
    method: str = 'pca',
    seed: int = 0,
) -> None:
    """Draw the features of networks as points of the plane."""
    first = next(iter(networks.values()))
    maps = {
        name: project(features.feats.numpy(), method, seed)
        for name, features in networks.items()
    }
    plot_embedding_maps(maps, first.labels.numpy(), out, first.classes)


def draw_similarity(
    networks: Mapping[str, Features], measure: str, out: str | Path
) -> list[str]:
    """Draw the similarity of every pair; returns a line per network."""
    matrix = similarity_matrix(list(networks.values()), measure)
    plot_matrix(matrix, list(networks), out, TITLES[measure])
    return [
        ' '.join([name, *(f'{value:.4f}' for value in row)])
        for name, row in zip(networks, matrix, strict=True)
    ]
