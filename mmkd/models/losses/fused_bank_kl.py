"""KL divergence between similarity distributions over a fixed bank."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import Function

# exp(logit) of unit vectors needs no maximum subtracted up to this bound on
# the logits: sums of exp(60) stay far inside the range of float32.
MAX_SAFE_SCALE = 60.0
# Elements of a tile. On the CPU a few tiles should fit into the cache; on a
# GPU a tile should be large against the cost of starting a kernel.
TILE_ELEMENTS = {'cpu': 2**20, 'cuda': 2**25}


def rows_per_tile(tensor: torch.Tensor, columns: int) -> int:
    """Return how many rows of ``columns`` make a tile on this device."""
    elements = TILE_ELEMENTS.get(tensor.device.type, 2**25)
    return max(1, elements // columns)


def bank_relation_kl(
    student: torch.Tensor,
    teacher: torch.Tensor,
    bank: torch.Tensor,
    weight: torch.Tensor,
    scale: float,
    chunk_size: int | None = None,
) -> torch.Tensor:
    """Compare the similarities of student and teacher rows to a bank.

    loss = sum_m weight_m KL(softmax(scale Q t_m) || softmax(scale Q s_m)).
    The gradient is formed in the forward pass, chunk by chunk, so that no
    (M, V) matrix outlives its chunk; it goes to ``student`` only.

    Args:
        student: (M, D) unit rows.
        teacher: (M, D) unit rows.
        bank: (V, D) unit rows.
        weight: (M,) weight of each row.
        scale: 1 / temperature.
        chunk_size: rows per chunk; None fits it to the device.

    Returns:
        Scalar.
    """
    if chunk_size is None:
        chunk_size = rows_per_tile(student, len(bank))
    return _BankRelationKL.apply(
        student, teacher, bank, weight, scale, chunk_size
    )


class _BankRelationKL(Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: torch.Tensor,
        teacher: torch.Tensor,
        bank: torch.Tensor,
        weight: torch.Tensor,
        scale: float,
        chunk_size: int,
    ) -> torch.Tensor:
        keys = bank * scale
        chunk_size = min(chunk_size, max(1, len(student)))
        buffers = student.new_empty(3, chunk_size, len(keys))
        grad = torch.empty_like(student) if ctx.needs_input_grad[0] else None
        loss = student.new_zeros(())
        for begin in range(0, len(student), chunk_size):
            rows = slice(begin, min(begin + chunk_size, len(student)))
            logits_s, logits_t, spare = buffers[:, : rows.stop - begin]
            torch.mm(student[rows], keys.T, out=logits_s)
            torch.mm(teacher[rows], keys.T, out=logits_t)
            kl, difference = row_kl_(
                logits_s,
                logits_t,
                spare,
                weight[rows],
                scale,
                grad is not None,
            )
            loss += kl
            if grad is not None:
                torch.mm(difference, keys, out=grad[rows])
        ctx.save_for_backward(*([] if grad is None else [grad]))
        return loss.clamp_(min=0)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[Any, ...]:
        return scaled_gradient(ctx, upstream), None, None, None, None, None


def scaled_gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
    """Return the gradient formed in the forward pass times ``upstream``.

    Raises:
        RuntimeError: the backward pass records a graph; the second
            derivative would silently miss this loss.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            'the fused relation losses can be differentiated only once: '
            'backward was called with create_graph=True; call it without'
        )
    (grad,) = ctx.saved_tensors
    return grad * upstream


def row_kl_(
    logits_s: torch.Tensor,
    logits_t: torch.Tensor,
    spare: torch.Tensor,
    weight: torch.Tensor,
    scale: float,
    want_gradient: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute sum_a weight_a KL(softmax(t_a) || softmax(s_a)) over rows.

    With e = exp(logit), the KL of a row is
    sum(e_t (t - s)) / sum(e_t) + log(sum(e_s) / sum(e_t)) and its gradient
    with respect to s is e_s / sum(e_s) - e_t / sum(e_t).

    Args:
        logits_s: (R, V), overwritten.
        logits_t: (R, V), overwritten.
        spare: (R, V), overwritten.
        weight: (R,).
        scale: bound on the absolute logits; above ``MAX_SAFE_SCALE`` the
            maximum of every row is subtracted first.
        want_gradient: also form the gradient.

    Returns:
        The scalar, and the gradient (R, V) with respect to the student's
        logits (undefined content if not wanted).
    """
    if scale > MAX_SAFE_SCALE:
        logits_s -= logits_s.amax(1, keepdim=True)
        logits_t -= logits_t.amax(1, keepdim=True)
    torch.sub(logits_t, logits_s, out=spare)
    exp_s, exp_t = logits_s.exp_(), logits_t.exp_()
    sum_s, sum_t = exp_s.sum(1), exp_t.sum(1)
    gap = spare.mul_(exp_t).sum(1)
    kl = gap / sum_t + (sum_s / sum_t).log_()
    if want_gradient:
        exp_s *= (weight / sum_s)[:, None]
        exp_s.addcmul_(exp_t, (weight / sum_t)[:, None], value=-1)
    return kl @ weight, exp_s
