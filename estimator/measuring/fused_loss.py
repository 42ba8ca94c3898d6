"""Cross-entropy whose logits are never stored: gradients are taken chunk by chunk in the forward pass.

Runs in the child process only; needs torch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

CHUNK_TOKENS = 1024


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
            for start in range(0, count, CHUNK_TOKENS):
                part = slice(start, start + CHUNK_TOKENS)
                states, wanted = hidden[part], labels[part]
                logits = (states @ weight.T).float()
                total += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
                gradient = torch.softmax(logits, dim=-1)
                gradient[torch.arange(len(wanted), device=hidden.device), wanted] -= 1.0
                narrow = (gradient / count).to(weight.dtype)
                hidden_gradient[part] = narrow @ weight
                if weight_gradient is not None:
                    weight_gradient += narrow.T @ states
            ctx.save_for_backward(hidden_gradient, weight_gradient)
            return total / count

        @staticmethod
        def backward(ctx: Any, outer: Any) -> Any:
            hidden_gradient, weight_gradient = ctx.saved_tensors
            return (
                hidden_gradient * outer,
                None if weight_gradient is None else weight_gradient * outer,
                None,
            )

    return FusedCrossEntropy


def fused_loss(hidden: Any, weight: Any, tokens: Any) -> Any:
    """Next-token loss of hidden states (batch, length, width) under a head's weight (vocabulary, width)."""
    states = hidden[:, :-1].reshape(-1, hidden.shape[-1]).to(weight.dtype)
    return _function().apply(states, weight, tokens[:, 1:].reshape(-1))
