"""What adapters add: two thin products per adapted module, casts, dropout and a sum."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants
from estimator.speed.elementwise import features
from estimator.speed.shapes import adapter_sums

#: Forward, gradient of the input, gradient of the factors.
BACKWARD_PASSES = 2.0


def adapters_s(*, run: Run, constants: Constants, rate: Number, forward: Number) -> Number:
    """Seconds of the adapters over one micro-batch; 0 for full fine-tuning.

    The products (2 x tokens x rank x (in + out) each way, twice that backward) are thin, so their cost is
    mostly traffic: the input is read again, often cast to the adapter's dtype and passed through dropout,
    and the output is scaled and added: bytes per element of the adapted modules' inputs and outputs, fitted
    per stack. Source: counts derived (Hu et al. 2021), bytes fitted.
    """
    if not run.adapters:
        return 0.0
    seconds: Number = 0.0
    per_element = constants.of_stack("lora_bytes_per_element", run.stack)
    bandwidth = run.accelerator.memory_bytes_per_s
    for sums in adapter_sums(run.architecture, run.lora_targets):
        elements = run.micro_batch_tokens * sums.active * features(sums=sums, tp=run.tp)
        passes = forward + BACKWARD_PASSES
        seconds = seconds + passes * elements * (per_element / bandwidth + 2.0 * run.lora_rank / rate)
    return seconds
