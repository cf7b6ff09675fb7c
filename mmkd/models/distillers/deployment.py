"""Which peer of a cohort is evaluated and exported."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmkd.deploy import OWN, Deployment, deployed_peer
from mmkd.models.distillers.base import BaseDistiller


class DeploysPeers(BaseDistiller):
    """A distiller of a cohort that deploys one of it, or all.

    Its ``cohort``, ``followers`` and ``exchanges`` are there before
    `set_deploy` is called.

    Buffers: ``deployed_peer``, the index; -1 is an auxiliary classifier.
    """

    cohort: Any
    followers: Any
    exchanges: Any
    deployed_peer: torch.Tensor

    def set_deploy(self, deploy: Any) -> None:
        """Read ``deploy`` of the config.

        Raises:
            ValueError, TypeError: the cohort has no such thing.
        """
        self.deployment = Deployment.parse(deploy)
        names = [name for e in self.exchanges for name in e.auxiliary_names]
        self.deployment.check(len(self.cohort), names, self.followers)
        self.deploy = self.deployment.peer
        self.register_buffer('deployed_peer', torch.tensor(0))
        self._fix_deployed_peer()

    def _fix_deployed_peer(self) -> None:
        """Write what the config says; ``'best'`` is chosen by a hook."""
        if isinstance(self.deploy, int):
            self.deployed_peer.fill_(range(len(self.cohort))[self.deploy])
        elif self.deployment.auxiliary:
            self.deployed_peer.fill_(-1)
        elif self.deploy == 'all':
            self.deployed_peer.fill_(0)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._fix_deployed_peer()  # the checkpoint may be of another config

    @property
    def deployed_index(self) -> int:
        """Index of the peer that is evaluated and exported.

        Raises:
            ValueError: an auxiliary classifier is deployed instead.
        """
        if int(self.deployed_peer) < 0:
            raise ValueError(
                f"deploy='{self.deploy}' is an auxiliary classifier of all "
                'peers, which is no network of its own: set deploy to a peer '
                'index to use or export one'
            )
        return int(self.deployed_peer)

    @property
    def deployed(self) -> nn.Module:
        """The peer (or its follower) that is evaluated and exported."""
        return self.deployable(self.deployed_index)

    @property
    def deployed_label(self) -> str:
        """Label of what is evaluated: a peer, follower or classifier."""
        if self.deployment.auxiliary:
            return str(self.deploy)
        peer = f'peer{self.deployed_index}'
        weights = self.deployment.weights
        return peer if weights == OWN else f'{peer}.{weights}'

    def deployable(self, index: int) -> nn.Module:
        """Return peer ``index``, or its follower if that is deployed."""
        if self.deployment.weights == OWN:
            return self.cohort[index]
        return self.followers[self.deployment.weights][index]

    def deployed_networks(
        self, state: dict[str, torch.Tensor] | None = None
    ) -> dict[str, tuple[nn.Module, int | None]]:
        """Return what is exported: suffix of the file -> (network, peer)."""
        if self.deploy == 'all':
            return {
                f'_peer{k}': (self.deployable(k), k)
                for k in range(len(self.cohort))
            }
        index = self.deployed_index
        if state is not None:
            index = deployed_peer(state, 'best')
        return {'': (self.deployable(index), index)}

    def set_best_peer(self, index: int) -> None:
        """Deploy peer ``index`` from now on (``deploy='best'``)."""
        if self.deploy != 'best':
            raise ValueError(
                f"deploy={self.deploy!r} is fixed; set deploy='best' to let "
                'the validation choose'
            )
        self.deployed_peer.fill_(index)
