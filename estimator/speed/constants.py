"""Which constant serves which accelerator family and training stack, and what stands in where none was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np

from estimator.machine import machine_factor, on_machine, registry_names
from estimator.numbers import Number
from estimator.run import Run

KernelClass = Literal["eager", "compiled", "fused"]

#: How a stack runs the work between the matrix products: one kernel per operation (eager), generated fused
#: kernels (compiled) or hand-written fused kernels (fused).
KERNEL_CLASS: dict[str, KernelClass] = {
    "hf": "eager",
    "hf-lean": "eager",
    "hf-fused": "fused",
    "hf-compile": "compiled",
    "litgpt": "compiled",
    "torchtune": "eager",
    "torchtune-compile": "compiled",
    "axolotl": "eager",
    "llm-foundry": "fused",
    "fms-fsdp": "compiled",
    "torchtitan": "compiled",
    "internevo": "fused",
    "xtuner": "fused",
    "megatron": "fused",
    "nemo-automodel": "fused",
    "optimum-habana": "eager",
}

#: Stacks with their own kernels that are still driven by the Transformers, DeepSpeed or FSDP host loop: what
#: the host costs (launches, hooks, collectives) is that of an eager stack.
EAGER_HOST = frozenset({"hf-fused", "xtuner"})

#: The family whose constants stand in for one without measured runs: same vendor, nearest generation.
NEAREST_FAMILY = {
    "volta": "ampere",
    "turing": "ampere-consumer",
    "blackwell-consumer": "ada",
    "cdna2": "cdna3",
    "cdna4": "cdna3",
    "tpu": "ampere",
    "trainium": "gaudi",
}


@cache
def family_row(*, what: str, family: str, names: frozenset[str]) -> str:
    """Name of the constant ``what`` for a family, or for its nearest one, or the common one.

    The rule: the family's own row; else that of the nearest family (`NEAREST_FAMILY`, followed once); else
    the row without a family.

    >>> family_row(what="x_fraction", family="cdna4", names=frozenset({"cdna3_x_fraction", "x_fraction"}))
    'cdna3_x_fraction'
    """
    for candidate in (family, NEAREST_FAMILY.get(family, family)):
        name = f"{candidate.replace('-', '_')}_{what}"
        if name in names:
            return name
    return what


@cache
def stack_row(*, what: str, stack: str, names: frozenset[str], host: bool = False) -> str:
    """Name of the constant ``what`` for a stack: its own row, else that of its class, else the common one.

    The class is that of its kernels, or of its ``host`` loop.

    >>> stack_row(what="x_s", stack="axolotl", names=frozenset({"eager_x_s"}))
    'eager_x_s'
    """
    kind = "eager" if host and stack in EAGER_HOST else KERNEL_CLASS[stack]
    for candidate in (stack, kind):
        name = f"{candidate.replace('-', '_')}_{what}"
        if name in names:
            return name
    return what


class Constants:
    """The registry as the speed model reads it: by plain name, by family or by stack."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values
        self._names = registry_names(values)

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def of_family(self, what: str, family: str | tuple[str, ...], like: Number) -> Number:
        """The family's constant; for a tuple of families an array in the shape of ``like``."""
        if isinstance(family, str):
            return self._values[family_row(what=what, family=family, names=self._names)]
        values = [self._values[family_row(what=what, family=f, names=self._names)] for f in family]
        return np.asarray(values).reshape(np.shape(like))

    def own_of_family(self, what: str, family: str | tuple[str, ...], like: Number) -> Number:
        """The family's own constant or the common one, no neighbour standing in."""
        families = (family,) if isinstance(family, str) else family
        names = [f"{f.replace('-', '_')}_{what}" for f in families]
        values = [self._values[name if name in self._names else what] for name in names]
        return values[0] if isinstance(family, str) else np.asarray(values).reshape(np.shape(like))

    def of_stack(self, what: str, stack: str) -> float:
        """The stack's constant, by the class of its kernels."""
        return self._values[stack_row(what=what, stack=stack, names=self._names)]

    def of_host(self, what: str, stack: str) -> float:
        """The stack's constant, by the class of its host loop."""
        return self._values[stack_row(what=what, stack=stack, names=self._names, host=True)]

    def of_machine(self, what: str, run: Run) -> Number:
        """The factor of the run's card and stack, 1 unless measured."""
        return machine_factor(what=what, run=run, constants=self._values)

    def on_machine(self, run: Run) -> Run:
        """The run on its card as the machine has it."""
        return on_machine(run=run, constants=self._values)
