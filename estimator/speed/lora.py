"""What adapters add: two thin products per adapted module, casts, dropout and a sum."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.shapes import adapter_sums

#: Forward, gradient of the input, gradient of the factors.
BACKWARD_PASSES = 2.0

#: Stacks whose adapters are PEFT's: kept in fp32, their inputs cast up.
USES_PEFT = frozenset({"hf", "hf-lean", "hf-fused", "hf-compile", "axolotl", "optimum-habana"})

#: Stacks with fused adapter kernels, written for blocks with a gated feed-forward.
FUSES_ADAPTERS = frozenset({"hf-fused"})


def adapters_s(*, run: Run, constants: Constants, rate: Number, forward: Number) -> Number:
    """Seconds of the adapters over one micro-batch; 0 for full fine-tuning.

    The products (2 x tokens x rank x (in + out) each way, twice that backward) are thin, so their cost is
    mostly traffic. The adapted module's input is read again, often cast to the adapter's dtype and passed
    through dropout, and its gradient takes the same way back: bytes per input element, fitted per stack. The
    output is written and added: bytes per output element. A stack with fused adapter kernels uses them on
    quantised bases, and on others where its fused loss shows that they are switched on. Source: counts derived
    (Hu et al. 2021), input bytes fitted.
    """
    flop, traffic = adapters_work(run=run, constants=constants, forward=forward)
    return flop / rate + traffic / run.accelerator.memory_bytes_per_s


def adapters_work(*, run: Run, constants: Constants, forward: Number) -> tuple[Number, Number]:
    """FLOP and bytes of the adapters over one micro-batch, as `adapters_s` counts them; 0 without adapters."""
    if not run.adapters:
        return 0.0, 0.0
    flop: Number = 0.0
    traffic: Number = 0.0
    switched_on = bool(run.quantization) or run.loss == "fused"
    fused = run.stack in FUSES_ADAPTERS and run.architecture.gated_mlp and switched_on
    kind = "fused_" if fused else "peft_" if run.stack in USES_PEFT else ""
    per_input = constants[f"{kind}lora_bytes_per_input_element"]
    per_output = constants["lora_bytes_per_output_element"]
    tokens = run.micro_batch_tokens * (forward + BACKWARD_PASSES)
    for sums in adapter_sums(run.architecture, run.lora_targets):
        if sums.modules:
            fan_in = sums.in_whole + sums.in_split / run.tp
            fan_out = sums.out_whole + sums.out_split / run.tp
            traffic = traffic + tokens * sums.active * (fan_in * per_input + fan_out * per_output)
            flop = flop + tokens * sums.active * 2.0 * run.lora_rank * (fan_in + fan_out)
    return flop, traffic
