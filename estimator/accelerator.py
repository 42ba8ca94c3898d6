"""What one accelerator can do: memory, bandwidth, dense peaks and links."""

from __future__ import annotations

from dataclasses import dataclass

from estimator.numbers import Number


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One accelerator, or several side by side: every numeric field is a float or an array of one shape.

    Peaks are dense (never the sparse figure) and for tensor cores with fp32 accumulation; 0 where the part
    has no such unit.

    Attributes:
        id: canonical name ("h100-80gb-sxm"); a tuple of names where the fields are arrays.
        family: the key of its measured constants ("hopper"); a tuple alike.
        memory_bytes: what the driver reports as total (nvidia-smi, ECC on where it ships so).
        memory_bytes_per_s: memory bandwidth.
        fp16_flop_per_s, bf16_flop_per_s, fp8_flop_per_s, int8_flop_per_s, fp4_flop_per_s: dense matrix peaks.
        fp32_flop_per_s: fp32 (vector, or matrix units in fp32/TF32 are not counted here).
        link_bytes_per_s: to the other accelerators of the node, one direction, per accelerator.
        node_link_bytes_per_s: to other nodes, one direction, per accelerator.
        gpus_per_node: accelerators that share that link: a usual node, an NVL72 rack, a TPU pod.
        power_watt: board power.
    """

    id: str | tuple[str, ...]
    family: str | tuple[str, ...]
    memory_bytes: Number
    memory_bytes_per_s: Number
    fp32_flop_per_s: Number
    fp16_flop_per_s: Number
    bf16_flop_per_s: Number
    fp8_flop_per_s: Number
    int8_flop_per_s: Number
    fp4_flop_per_s: Number
    link_bytes_per_s: Number
    node_link_bytes_per_s: Number
    gpus_per_node: Number
    power_watt: Number
