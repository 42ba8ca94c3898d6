"""Sums over a model's linear modules, from which every matrix-product time follows without a loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from estimator.architecture import Architecture, Linear
from estimator.numbers import Number
from estimator.parameters import adapters

#: Groups of modules that all tokens pass, the head left out.
DENSE_GROUPS = ("attention", "mlp", "shared_expert", "router", "mixer")

#: Modules that tensor parallelism splits along their input; all others are split along their output.
ROW_PARALLEL = frozenset({"o", "down"})


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over some linear modules of one model, every layer counted.

    ``whole`` features are those a tensor-parallel rank sees undivided, ``split`` those it sees divided.

    Attributes:
        weights: in x out of one copy.
        copies: resident copies of each module (experts), else 1.
        active: copies that a token passes.
        in_whole, in_split: input features of column- and row-parallel modules.
        out_whole, out_split: output features of row- and column-parallel modules.
        modules: how many (layer, module) pairs.
    """

    weights: float = 0.0
    copies: float = 1.0
    active: float = 1.0
    in_whole: float = 0.0
    in_split: float = 0.0
    out_whole: float = 0.0
    out_split: float = 0.0
    modules: float = 0.0

    def resident(self, ep: Number) -> Number:
        """Copies of each module on one expert-parallel rank."""
        return self.copies / ep if self.copies > 1.0 else 1.0


def _sums(shapes: list[tuple[str, int, int, int]], copies: float = 1.0, active: float = 1.0) -> Sums:
    """Sums of (role, in, out, layers)."""
    row = [s for s in shapes if s[0] in ROW_PARALLEL]
    column = [s for s in shapes if s[0] not in ROW_PARALLEL]
    return Sums(
        weights=float(sum(i * o * n for _, i, o, n in shapes)),
        copies=copies,
        active=active,
        in_whole=float(sum(i * n for _, i, _, n in column)),
        in_split=float(sum(i * n for _, i, _, n in row)),
        out_whole=float(sum(o * n for _, _, o, n in row)),
        out_split=float(sum(o * n for _, _, o, n in column)),
        modules=float(sum(n for *_, n in shapes)),
    )


def _shape(linear: Linear) -> tuple[str, int, int, int]:
    return (linear.role, linear.in_features, linear.out_features, linear.layers)


def _fused(linears: list[Linear], roles: tuple[str, ...]) -> list[tuple[str, int, int, int]]:
    """Shapes with the given roles of one group joined into a single wider module."""
    joined = [m for m in linears if m.role in roles]
    shapes = [_shape(m) for m in linears if m.role not in roles]
    if joined:
        first = joined[0]
        shapes.append((roles[0], first.in_features, sum(m.out_features for m in joined), first.layers))
    return shapes


@cache
def dense_sums(
    architecture: Architecture,
    fused: bool = False,
    without_last: bool = False,
    groups: tuple[str, ...] = DENSE_GROUPS,
) -> Sums:
    """Every linear module that all tokens pass, the head left out; a mixer as one square module per layer.

    Args:
        architecture: the model.
        fused: the stack joins query, key and value, and gate and up, into one product each.
        without_last: leave out each block's last product (``down``).
        groups: only these.
    """
    shapes: list[tuple[str, int, int, int]] = []
    for group in groups:
        members = [m for m in architecture.linears if m.group == group]
        if group == "attention" and (fused or architecture.fused_qkv):
            shapes += _fused(members, ("q", "k", "v"))
        elif group in ("mlp", "shared_expert") and (fused or architecture.fused_gate_up):
            shapes += _fused(members, ("gate", "up"))
        else:
            shapes += [_shape(m) for m in members]
    if without_last:
        shapes = [shape for shape in shapes if shape[0] != "down"]
    if architecture.mixer and "mixer" in groups:
        width = max(round(architecture.mixer.matmul_parameters / architecture.hidden), 1)
        shapes.append(("mixer", architecture.hidden, width, architecture.mixer.layers))
    return _sums(shapes)


@cache
def expert_sums(architecture: Architecture, fused: bool = False, without_last: bool = False) -> Sums:
    """The routed experts' modules, per copy; arguments as in `dense_sums`."""
    members = [m for m in architecture.linears if m.group == "expert" and not (without_last and m.role == "down")]
    shapes = _fused(members, ("gate", "up")) if fused else [_shape(m) for m in members]
    return _sums(shapes, float(architecture.experts), float(architecture.experts_per_token))


@cache
def head_sums(architecture: Architecture) -> Sums:
    """The language-model head."""
    return _sums([_shape(m) for m in architecture.linears if m.group == "head"])


@cache
def adapter_sums(architecture: Architecture, targets: tuple[str, ...]) -> tuple[Sums, Sums]:
    """The adapted modules: those that all tokens pass, and those of routed experts."""
    dense: list[tuple[str, int, int, int]] = []
    expert: list[tuple[str, int, int, int]] = []
    for pair in adapters(architecture=architecture, targets=targets):
        shape = (pair.roles[0], pair.in_features, pair.out_features, pair.layers)
        (expert if pair.group == "expert" else dense).append(shape)
    return _sums(dense), _sums(expert, float(architecture.experts), float(architecture.experts_per_token))
