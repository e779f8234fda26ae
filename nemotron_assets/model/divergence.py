"""The forward KL divergence of a student's next-token distribution from a teacher's, over the whole vocabulary.

Nemotron Nano 2 report §4.3: distillation at temperature 1, on the logits alone. The logits of both models are computed
from their last hidden states slice by slice, and the gradients with them, so neither model's logits are ever in memory
together.
"""

from __future__ import annotations

import torch

from nemotron_assets.model.fused import LOGIT_BYTES, SMALLEST_SLICE, SlicedLoss, add_gradients


@torch.compiler.disable
def forward_kl(
    hidden: torch.Tensor, weight: torch.Tensor, teacher_hidden: torch.Tensor, teacher_weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(teacher || student) in nats: the sum over all tokens, and the divergence of each token without gradients.

    hidden [tokens, width] and weight [vocabulary, width] are the student's last hidden states and the matrix of its
    head; teacher_hidden [tokens, another width] and teacher_weight [vocabulary, another width] the teacher's. The
    teacher gets no gradients. Raises ValueError for different numbers of tokens or vocabularies.
    """
    if len(hidden) != len(teacher_hidden) or len(weight) != len(teacher_weight):
        raise ValueError(
            f"the student has {len(hidden)} tokens and a vocabulary of {len(weight)}, the teacher "
            f"{len(teacher_hidden)} and {len(teacher_weight)}: both must read the same tokens with the same tokenizer"
        )
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        return _ForwardKl.apply(
            hidden.to(dtype), weight, teacher_hidden.detach().to(dtype), teacher_weight.detach().to(dtype), dtype
        )


class _ForwardKl(SlicedLoss):
    @staticmethod
    def forward(ctx, hidden, weight, teacher_hidden, teacher_matrix, dtype):
        matrix = weight.to(dtype)
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        most = LOGIT_BYTES.get(hidden.device.type, LOGIT_BYTES["cuda"])
        size = max(SMALLEST_SLICE, most // (8 * len(weight)))  # two models, four bytes each
        for first in range(0, len(hidden), size):
            part = slice(first, first + size)
            known = (teacher_hidden[part] @ teacher_matrix.T).float().log_softmax(-1)
            own = (hidden[part] @ matrix.T).float().log_softmax(-1)
            wanted = known.exp()
            losses[part] = torch.linalg.vecdot(wanted, known.sub_(own))
            if grad_hidden is None and grad_weight is None:
                continue
            grad = own.exp_().sub_(wanted).to(dtype)
            add_gradients(grad, hidden, matrix, part, grad_hidden, grad_weight)
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses
