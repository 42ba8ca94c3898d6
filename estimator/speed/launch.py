"""Time of the host that launches kernels: a floor under every micro-batch of an eager stack."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.parameters import adapters
from estimator.run import Run
from estimator.speed.constants import Constants

#: Backward of one layer relative to its forward: more kernels, launched from C++.
BACKWARD_PASSES = 1.0


def launch_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Host seconds to launch the kernels of one micro-batch on one pipeline stage.

    layers x (forward passes + backward) x seconds per layer, of the stack's kernel class, plus seconds per
    adapted module and, for the kernels that unpack it, per quantised module; sharding adds hooks and
    collectives per layer on eager stacks. The host runs ahead of the device, so this is a floor, not an
    addition (see `step.overlapped_s`).
    """
    arch = run.architecture
    passes = forward + BACKWARD_PASSES
    layer = constants.of_host("launch_s_per_layer", run.stack)
    modules = 0.0
    if run.adapters:
        pairs = adapters(architecture=arch, targets=run.lora_targets)
        modules = float(sum(pair.layers * pair.active_copies for pair in pairs))
    if run.quantization:
        quantised = sum(m.layers * m.active_copies for m in arch.linears if m.group != "head")
        modules = modules + float(quantised) * constants["launch_adapters_per_quantised_module"]
    seconds = passes * (arch.layers * layer + modules * layer * constants["launch_layers_per_adapter"])
    if run.architecture.experts:
        looped = constants.of_host("launch_layers_per_expert", run.stack)
        seconds = seconds + passes * arch.moe_layers * arch.experts * looped * layer
    if run.sharding in ("fsdp", "hsdp"):
        seconds = seconds + passes * arch.layers * constants.of_host("sharded_launch_s_per_layer", run.stack)
    return seconds / run.pp
