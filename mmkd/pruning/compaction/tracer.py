"""Follow channels through a network while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from mmkd.pruning.compaction import operations
from mmkd.pruning.compaction.graph import ChannelGraph, Channels
from mmkd.pruning.compaction.modules import is_depthwise


class ChannelTracer(TorchFunctionMode):
    """Enters into ``graph`` what the functions of a forward pass do.

    The network really runs, so that control flow and frozen layers do not
    matter. A function that is not known keeps the channels of its inputs at
    full width, and the module in which it was called is named.

    Args:
        network: in eval mode.
        graph: gets the channels.
        done: convolutions whose outputs rules have followed already.
    """

    def __init__(
        self, network: nn.Module, graph: ChannelGraph, done: set[str]
    ) -> None:
        super().__init__()
        self.graph = graph
        self.done = done
        self.path: list[tuple[str, nn.Module]] = []
        # Tensors are held, so that their ids stay unique.
        self.known: dict[int, tuple[Tensor, Channels]] = {}
        self.uses: dict[int, list[str]] = {}
        self.outputs: list[tuple[str, Tensor]] = []
        self.owner: dict[int, tuple[str, nn.Module]] = {}
        self.shared: set[int] = set()
        for name, module in network.named_modules():
            for tensor in (
                *module._parameters.values(),
                *module._buffers.values(),
            ):
                if tensor is None:
                    continue
                if id(tensor) in self.owner:
                    self.shared.add(id(tensor))
                self.owner[id(tensor)] = (name, module)
        self.hooks = [
            hook
            for name, module in network.named_modules()
            for hook in self._watch(name, module)
        ]

    def finish(self, outputs: Any) -> None:
        """Keep what is left at the end; stop watching the modules."""
        for hook in self.hooks:
            hook.remove()
        self.block_all(outputs, 'it is an output of the network')
        readers: dict[str, set[str]] = {}
        for name, tensor in self.outputs:
            uses = self.uses.get(id(tensor), [])
            readers.setdefault(name, set()).update(
                uses if len(uses) == 1 else ['several', *uses]
            )
        norms = [use for uses in readers.values() for use in uses]
        for name, used in readers.items():
            use = next(iter(used))
            if use.startswith('norm:') and norms.count(use) == len(used) == 1:
                self.graph.norm_of.setdefault(name, use[5:])

    def block_all(self, values: Any, reason: str) -> None:
        """Keep the channels of all tensors in ``values``."""
        for tensor in _tensors(values):
            if id(tensor) in self.known:
                self.graph.block(self.known[id(tensor)][1].ids, reason)

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [
            tensor
            for tensor in _tensors((args, kwargs))
            if id(tensor) in self.known
        ]
        channels = [self.known[id(tensor)][1] for tensor in inputs]
        shapes = [tensor.shape for tensor in inputs]
        result = func(*args, **kwargs)
        outputs = list(_tensors(result))
        name = getattr(func, '__name__', str(func))
        if name == '__setitem__':
            self._unknown(inputs, name)
        if not outputs:
            return result  # a shape, a type, a device
        found: Channels | None = None
        use = name
        if name in _CONVOLUTIONS or name == 'linear':
            found = self._layer(name, args, kwargs, outputs[0])
        elif not inputs:
            return result
        elif name == 'batch_norm':
            found, use = self._norm(args, kwargs)
        elif len(outputs) == 1:
            call = operations.Call(
                name, func, args, kwargs, shapes, outputs[0].shape
            )
            found = self._operation(call, inputs, channels)
        else:
            self._unknown(inputs, name)
        for tensor in inputs:
            self.uses.setdefault(id(tensor), []).append(use)
        for tensor in outputs:
            self.known.pop(id(tensor), None)
        if found is not None:
            self.known[id(outputs[0])] = (outputs[0], found)
        return result

    def _layer(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Tensor,
    ) -> Channels | None:
        """Follow a convolution or linear layer."""
        inputs: Any = kwargs.get('input', args[0] if args else None)
        weight = kwargs.get('weight', args[1] if len(args) > 1 else None)
        name, layer = self.owner.get(id(weight), ('', nn.Identity()))
        known = self.known.get(id(inputs))
        channels = known[1] if known else None
        plain = (
            isinstance(layer, (_ConvNd, nn.Linear))
            and id(weight) not in self.shared
            and (function != 'linear' or inputs.ndim == 2)
        )
        if not plain:
            self.block_all((args, kwargs), self._reason(function))
            return None
        if isinstance(layer, _ConvNd):
            self.outputs.append((name, output))
            if is_depthwise(layer):
                if channels is None:
                    return None
                return self.graph.depthwise(name, layer, channels)
        if channels is not None:
            self.graph.read(name, layer, channels)
        if not isinstance(layer, _ConvNd) or name in self.done:
            return None
        if layer.transposed and layer.groups > 1:
            return None
        return self.graph.source(name, layer)

    def _norm(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Channels | None, str]:
        inputs = args[0] if args else kwargs['input']
        known = self.known.get(id(inputs))
        mean = args[1] if len(args) > 1 else kwargs.get('running_mean')
        name, norm = self.owner.get(id(mean), ('', None))
        training = args[5] if len(args) > 5 else kwargs.get('training', False)
        if (
            known is None
            or training
            or not isinstance(norm, _BatchNorm)
            or id(mean) in self.shared
        ):
            self.block_all((args, kwargs), self._reason('batch_norm'))
            return None, 'batch_norm'
        return self.graph.norm(name, norm, known[1]), f'norm:{name}'

    def _operation(
        self,
        call: operations.Call,
        inputs: list[Tensor],
        channels: list[Channels],
    ) -> Channels | None:
        if call.name == 'prelu':
            weight = call.args[1]
            name, module = self.owner.get(id(weight), ('', nn.Identity()))
            known = isinstance(module, nn.PReLU)
            if known and weight.numel() > 1:
                known = self.graph.scaled(name, channels[0])
            if not known:
                self._unknown(inputs, call.name)
                return None
            return self.graph.activation(module, channels[0])
        if call.name == 'pad' and self.path:
            name, module = self.path[-1]
            count = getattr(module, 'new_channels', 0)
            if count and operations.appends_channels(call, count):
                return self.graph.append_zeros(name, count, channels[0])
        found = operations.follow(call, inputs, channels, self.graph)
        if found is None:
            self._unknown(inputs, call.name)
        return found

    def _unknown(self, inputs: list[Tensor], function: str) -> None:
        self.block_all(inputs, self._reason(function))

    def _reason(self, function: str) -> str:
        path, module = self.path[-1] if self.path else ('', None)
        kind = type(module).__name__ if module is not None else 'the network'
        if function in _GROUP_NORMS:
            return (
                f'{path} ({kind}) normalises over several channels: a '
                'channel less changes the others'
            )
        return f'{path or "the network"} ({kind}): {function} is not followed'

    def _watch(self, name: str, module: nn.Module) -> Iterator[Any]:
        """Note which module runs; leaves must use what they get."""
        leaf = next(module.children(), None) is None
        uses: list[list[tuple[Tensor, int]]] = []

        def before(module: nn.Module, args: Any) -> None:
            self.path.append((name, module))
            if leaf:
                uses.append(
                    [
                        (tensor, len(self.uses.get(id(tensor), [])))
                        for tensor in _tensors(args)
                        if id(tensor) in self.known
                    ]
                )

        def after(module: nn.Module, args: Any, output: Any) -> None:
            results = {id(tensor) for tensor in _tensors(output)}
            for tensor, count in uses.pop() if leaf else []:
                used = len(self.uses.get(id(tensor), [])) > count
                if not used and id(tensor) not in results:
                    self._unknown([tensor], 'its own operation')
            self.path.pop()

        yield module.register_forward_pre_hook(before)
        yield module.register_forward_hook(after)


_CONVOLUTIONS = {
    f'conv{kind}{dims}d' for kind in ('', '_transpose') for dims in (1, 2, 3)
}
_GROUP_NORMS = {'group_norm', 'layer_norm', 'instance_norm'}


def _tensors(values: Any) -> Iterator[Tensor]:
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            yield leaf
