"""What offline and online distillers have in common: the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.dist import is_distributed
from torch import nn

from mmkd.models.cohorts.followers import Followers
from mmkd.models.distillers.assembly import Assembled
from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.finite import check_losses
from mmkd.models.distillers.gradients import check_gradients
from mmkd.models.distillers.parts import (
    ByPhase,
)
from mmkd.models.distillers.phases import (
    MAIN,
    require_wrappers,
    update_phases,
)
from mmkd.models.distillers.run import Observation, Run
from mmkd.models.distillers.sample_index import SampleIndex
from mmkd.models.distillers.views import View
from mmkd.tasks import check_class_labels, require_head
from mmkd.utils.finite_state import require_finite_state
from mmkd.utils.indices import FirstGpuBatches


class BaseDistiller(Assembled):
    """A model that trains networks and behaves like one of them.

    ``mode='loss'`` runs a distillation step; ``'predict'`` and ``'tensor'``
    are those of the deployed network.

    Args:
        data_preprocessor: module or dict; see mmengine's BaseModel.
        check_labels: compare labels with the network's class number (every
            step on the CPU; the first 10 steps elsewhere, where it waits
            for the device).
        check_finite: stop at a non-finite loss, before the step.
        init_cfg: see mmengine's BaseModule.
    """

    #: keys of a config that say what the trained networks are
    bare_keys: tuple[str, ...] = ('type', '_scope_', 'data_preprocessor')
    #: set by `PhasedDistributedDataParallel`, which runs the whole step
    wrapped = False
    #: of losses that are not finite; None: they stop the step at once
    complaints: list[str] | None = None
    #: see `update_phases`
    inspect_phases: Any = None

    def __init__(
        self,
        data_preprocessor: nn.Module | dict | None = None,
        check_labels: bool = True,
        check_finite: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        self.check_labels = check_labels
        self.check_finite = check_finite
        self._may_look = FirstGpuBatches()
        self._last_run: Run | None = None
        self.sample_index = SampleIndex()
        self._gradients_checked = False

    # -- what the two kinds of distillers say -------------------------------

    @classmethod
    def network_configs(cls, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return the networks that a config trains: label -> its spec."""
        raise NotImplementedError

    @property
    def deployed(self) -> nn.Module:
        """The network that is evaluated and exported."""
        raise NotImplementedError

    def deployed_networks(
        self, state: dict[str, torch.Tensor] | None = None
    ) -> dict[str, tuple[nn.Module, int | None]]:
        """Return what is exported: suffix of the file -> (network, peer).

        Args:
            state: ``state_dict`` of a checkpoint that says which peer.
        """
        return {'': (self.deployed, None)}

    @property
    def trained(self) -> list[nn.Module]:
        """The student, or the peers."""
        raise NotImplementedError

    def run(self, inputs: Any, data_samples: list | None) -> Run:
        """Run every network once on a batch."""
        raise NotImplementedError

    def _batch(self, data_samples: list | None, shown: View) -> Batch:
        """Return what losses may ask for, of what the first one is shown."""
        return Batch(
            data_samples,
            shown.images.device,
            shown.labels,
            self.trained[0],
            self.sample_index,
        )

    def observe(
        self, inputs: Any, data_samples: list | None = None
    ) -> Observation:
        """Return the named tensors of all roles, without a step.

        Modes and gradients are the caller's; nothing asks for labels but a
        view set.

        Args:
            inputs: (N, C, H, W), preprocessed, or one batch per view.
            data_samples: of the batch.
        """
        raise NotImplementedError

    def followers_of_all(self) -> Iterator[Followers]:
        """Return the averaged copies."""
        for module in self.modules():
            if isinstance(module, Followers):
                yield module

    def init_weights(self) -> None:
        """Initialise all networks; averaged copies start equal to them."""
        super().init_weights()
        for followers in self.followers_of_all():
            followers.start()

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Refuse banks and queues of parts that are not finite."""
        own = {id(b) for part in self.parts for b in part.module.buffers()}
        names = [name for name, b in self.named_buffers() if id(b) in own]
        require_finite_state(state_dict, prefix, names)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases of the step after the common one, with own optimizers."""
        return tuple(phase for part in self.parts for phase in part.phases)

    # -- a step -------------------------------------------------------------

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run one step in ``mode``: ``'loss'``, ``'predict'``, ``'tensor'``.

        Shape:
            inputs: (N, C, H, W), already preprocessed.
            returns: dict of scalar losses, or what the deployed network
                returns.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            require_head(self.deployed)
        return self.deployed(inputs, data_samples, mode=mode)

    def loss(self, inputs: Any, data_samples: list | None) -> dict:
        """Return the task losses and what the parts add.

        Shape:
            inputs: (N, C, H, W), or a list of those, one per view.
            returns: log name -> scalar.
        """
        self._require_own_step()
        return self.losses_by_phase(inputs, data_samples)[None]

    def losses_by_phase(
        self, inputs: Any, data_samples: list | None
    ) -> ByPhase:
        """Return the losses of every phase; None is the common one."""
        self._check_labels(data_samples)
        run = self.run(inputs, data_samples)
        self._check_gradients(run)
        found: ByPhase = {None: dict(run.losses)}
        for number, part in enumerate(self.parts):
            try:
                given = part.losses(run.tensors, run.batch)
            except ValueError as error:
                hint = part.hint(run.tensors, run.images.shape[-2:])
                text = f'{part.title}: {error}' + (f'; {hint}' if hint else '')
                raise ValueError(text) from error
            self._names.settle(number, part, given, run.losses)
            for phase, losses in given.items():
                kept = found.setdefault(phase, {})
                for name, value in losses.items():
                    kept[self._names[number, phase, name]] = value
        self._last_run = run
        return found

    def parse_losses(
        self, losses: dict[str, Any]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the sum that is trained, and the values to log.

        The values come back on the CPU: the step waits for the device once,
        to see whether they are finite, and not again when they are logged.

        Raises:
            FloatingPointError: a loss is not finite; names it, the range
                of its inputs and the learning rate.
        """
        total, values = super().parse_losses(losses)
        run, self._last_run = self._last_run, None
        if self.check_finite:
            values, complaint = check_losses(
                values, lambda name: self._inputs_of(name, run)
            )
            if complaint is not None:
                if self.complaints is None:
                    raise FloatingPointError(complaint)
                self.complaints.append(complaint)  # all processes decide
        return total, values

    def _inputs_of(self, name: str, run: Run | None) -> dict[str, Any]:
        """Return what the loss called ``name`` was computed from."""
        if run is None:
            return {}
        part = self._names.part_of(name)
        if part is None:
            return {'images': run.images}
        return part.inputs(run.tensors)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict:
        """Run one step; several phases each with their own optimizer."""
        if not self.phases:
            logs = super().train_step(data, optim_wrapper)
            self.after_step()
            return logs
        wrappers = require_wrappers(optim_wrapper, self.phases)
        with wrappers[MAIN].optim_context(self):
            data = self.data_preprocessor(data, True)
            found = self.losses_by_phase(**data)
        logs, totals = {}, {}
        run = self._last_run
        for name in (MAIN, *self.phases):
            self._last_run = run
            totals[name], values = self.parse_losses(
                found[None if name == MAIN else name]
            )
            total = values.pop('loss')
            logs |= values | {name if name != MAIN else 'loss': total}
        del run  # what the taps recorded is not needed by backward
        update_phases(wrappers, totals, self.inspect_phases)
        self.after_step()
        return logs

    def after_step(self) -> None:
        """Let parts act, and copies follow, after the optimizers' steps."""
        for part in self.parts:
            part.after_step(self.trained)
        for followers in self.followers_of_all():
            followers.follow()

    def phase_parameters(self) -> dict[str, set[nn.Parameter]]:
        """Return what every phase trains; ``main`` is the common one."""
        trained = {
            phase: set(part.phase_parameters(phase, self.trained))
            for part in self.parts
            for phase in part.phases
        }
        own = {p for part in self.parts for p in part.module.parameters()}
        others = set().union(*trained.values()) if trained else set()
        trained[MAIN] = set(self.parameters()) - (own & others)
        return trained

    @property
    def has_own_step(self) -> bool:
        """Whether a step is more than losses, backward and one optimizer."""
        return (
            bool(self.phases)
            or any(part.acts for part in self.parts)
            or any(True for _ in self.followers_of_all())
        )

    def _require_own_step(self) -> None:
        """Refuse a step that would leave phases or actions out.

        Raises:
            ValueError: mmengine's own wrapper of several processes is used.
        """
        if (
            is_distributed()
            and self.training
            and self.has_own_step
            and (self.phases or not self.wrapped)
        ):
            raise ValueError(
                'this model has a step of its own, which the default wrapper '
                'for several processes skips: add model_wrapper_cfg=dict('
                "type='mmkd.PhasedDistributedDataParallel') to the config"
            )

    def _check_gradients(self, run: Run) -> None:
        """Look once, in the first training step."""
        if self._gradients_checked or not self.training:
            return
        learns = any(p.requires_grad for p in self.parameters())
        if learns and torch.is_grad_enabled():
            check_gradients(self.parts, self.roles, run.tensors)
            self._gradients_checked = True

    def _check_labels(self, data_samples: list | None) -> None:
        """Refuse labels outside the classes of the trained network."""
        if not self.check_labels or not data_samples:
            return
        if self._may_look(next(self.parameters())):
            check_class_labels(
                self.trained[0], data_samples, self.label_prefix
            )

    #: of the first network's head in messages
    label_prefix = ''
