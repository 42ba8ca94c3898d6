"""Cross-entropy whose logits are never stored: gradients are taken chunk by chunk in the forward pass.

Runs in the child process only; needs torch.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def chunk_tokens(*, tokens: int, width: int, vocab: int) -> int:
    """Tokens of a chunk: the highest power of two whose logits are no more numbers than all hidden states.

    So the logits at hand grow with the hidden states, not with the vocabulary, as in the fused kernels that
    people train with. Source: derived; the rule of Liger Kernel's fused linear cross-entropy (Hsu et al. 2024,
    arXiv 2410.10989), which rounds up.

    >>> chunk_tokens(tokens=4096, width=896, vocab=151_936)
    16
    """
    return 1 << max(tokens * width // vocab, 1).bit_length() - 1


@cache
def _function() -> Any:
    import torch

    class FusedCrossEntropy(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
        """Mean cross-entropy of hidden states under a head; saves the gradients, not the logits."""

        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, labels: Any) -> Any:
            hidden_gradient = torch.empty_like(hidden)
            weight_gradient = torch.zeros_like(weight) if weight.requires_grad else None
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            count = labels.numel()
            step = chunk_tokens(tokens=count, width=hidden.shape[-1], vocab=weight.shape[0])
            for start in range(0, count, step):
                part = slice(start, start + step)
                states, wanted = hidden[part], labels[part, None]
                logits = (states @ weight.T).float()
                sums = torch.logsumexp(logits, dim=-1, keepdim=True)
                total += (sums - logits.gather(1, wanted)).sum()
                gradient = logits.sub_(sums).exp_()
                gradient.scatter_add_(1, wanted, torch.full_like(sums, -1.0))
                narrow = gradient.div_(count).to(weight.dtype)
                hidden_gradient[part] = narrow @ weight
                if weight_gradient is not None:
                    weight_gradient.addmm_(narrow.T, states)
            ctx.save_for_backward(hidden_gradient, weight_gradient)
            return total / count

        @staticmethod
        def backward(ctx: Any, outer: Any) -> Any:
            hidden_gradient, weight_gradient = ctx.saved_tensors
            return (
                hidden_gradient.mul_(outer),
                None if weight_gradient is None else weight_gradient.mul_(outer),
                None,
            )

    return FusedCrossEntropy


def fused_loss(hidden: Any, weight: Any, tokens: Any) -> Any:
    """Next-token loss of hidden states (batch, length, width) under a head's weight (vocabulary, width).

    Under autocast the head is cast once, not once a chunk.
    """
    import torch

    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    states = hidden[:, :-1].reshape(-1, hidden.shape[-1]).to(dtype)
    return _function().apply(states, weight.to(dtype), tokens[:, 1:].reshape(-1))
