"""Bytes between cards and what of their time is not hidden."""

from __future__ import annotations

import numpy as np

from estimator.numbers import Number
from estimator.parameters import block_linear_parameters, total_parameters, trainable_parameters
from estimator.run import DTYPE_BYTES, Run
from estimator.speed.constants import Constants
from estimator.speed.dequantise import BITS

#: Links slower than this are PCIe or an ordinary network, bytes/s per direction.
PCIE_BYTES_PER_S = 70e9

#: Stacks that scatter gradients in fp32 whatever type the weights have.
REDUCES_IN_FP32 = frozenset({"torchtitan"})


def link_bytes_per_s(*, run: Run, constants: Constants, ranks: Number, stride: Number) -> Number:
    """Bytes/s that one rank of a ring collective moves.

    A group of ``ranks`` cards, ``stride`` apart, lies inside a node or crosses nodes. Inside, it moves at the
    card's link times the fraction that collectives reach on that kind of link (NVLink and its like, PCIe, and
    PCIe through the host where cards cannot reach each other: GeForce parts, known by an int8 rate of four
    times their 16-bit one). Across nodes every card of the group in the node drives its own network port, so
    the ring moves at the smaller of the link and ports x port rate. Source: derived (ring algorithm,
    Thakur et al. 2005).
    """
    card = run.accelerator
    pcie = np.asarray(card.link_bytes_per_s) < PCIE_BYTES_PER_S
    geforce = pcie & (card.int8_flop_per_s > 3.0 * np.maximum(card.bf16_flop_per_s, card.fp16_flop_per_s))
    reached = np.where(pcie, constants["pcie_fraction"], constants["nvlink_fraction"])
    reached = np.where(geforce, constants["host_routed_fraction"], reached)
    inside = card.link_bytes_per_s * reached
    in_node = np.maximum(card.gpus_per_node / stride, 1.0)
    ports = np.minimum(ranks, in_node)
    across = ports * card.node_link_bytes_per_s * constants["network_fraction"]
    return np.where(ranks > in_node, np.minimum(inside, across), inside)


def ring_fraction(ranks: Number) -> Number:
    """Share of the whole buffer that each rank sends in an all-gather or reduce-scatter: (n - 1) / n."""
    return (ranks - 1.0) / ranks


def resident_bytes_per_parameter(*, run: Run) -> float:
    """Bytes that gathering one block parameter moves: 16-bit, or as stored when quantised."""
    return BITS[run.quantization] / 8.0 + 0.06 if run.quantization else 2.0


def _shard_parameters(run: Run) -> tuple[Number, Number]:
    """Block and other parameters of one tensor-, pipeline- and expert-parallel rank."""
    arch = run.architecture
    blocks = float(block_linear_parameters(architecture=arch))
    rest = float(total_parameters(architecture=arch)) - blocks
    if arch.experts:
        expert = float(
            sum(m.layers * m.copies * m.in_features * m.out_features for m in arch.linears if m.group == "expert")
        )
        blocks_here = (blocks - expert + expert / run.ep) / (run.tp * run.pp)
    else:
        blocks_here = blocks / (run.tp * run.pp)
    return blocks_here, rest / (run.tp * run.pp)


def _latency_s(run: Run, constants: Constants, ranks: Number, what: str = "collective_latency_s") -> Number:
    """Seconds before the first byte of one collective: grows with the depth of a tree over nodes."""
    nodes = np.maximum(ranks / run.accelerator.gpus_per_node, 1.0)
    return constants.of_host(what, run.stack) * (1.0 + np.log2(nodes)) * np.minimum(ranks - 1.0, 1.0)


def sharding_micro_batch_s(*, run: Run, constants: Constants) -> Number:
    """Link seconds per micro-batch of sharded data parallelism, before overlap.

    FSDP and ZeRO-3 gather the weights for the forward and again for the backward and reduce-scatter the
    gradients of what is trained; ZeRO-2 reduce-scatters gradients each micro-batch. Beside a pipeline the
    gathered weights are kept for all micro-batches, so it is once per step. Others communicate once per step
    (`sharding_step_s`).
    """
    if run.sharding not in ("fsdp", "hsdp", "zero2"):
        return 0.0 * run.gpus
    ranks = run.shards
    rate = link_bytes_per_s(run=run, constants=constants, ranks=ranks, stride=run.tp)
    trained = _trained_here(run) * _gradient_bytes(run)
    layers = float(run.architecture.layers) / run.pp
    volume = trained
    collectives = layers
    if run.sharding != "zero2":
        blocks, rest = _shard_parameters(run)
        volume = volume + 2.0 * (blocks * resident_bytes_per_parameter(run=run) + rest * 2.0)
        collectives = 3.0 * layers
    latency = collectives * _latency_s(run, constants, ranks, "sharding_latency_s")
    times = np.where(np.asarray(run.pp) > 1.0, 1.0 / run.micro_batches, 1.0)
    return times * (volume * ring_fraction(ranks) / rate + latency)


def _gradient_bytes(run: Run) -> float:
    """Bytes per gradient on the link: of the weights' type; 4 where the stack always reduces in fp32."""
    return 4.0 if run.stack in REDUCES_IN_FP32 else DTYPE_BYTES[run.weights_dtype]


def _trained_here(run: Run) -> Number:
    return trainable_parameters(run=run) / (run.tp * run.pp * (run.ep if not run.adapters else 1.0))


def sharding_step_s(*, run: Run, constants: Constants) -> Number:
    """Link seconds per optimizer step of data parallelism, before overlap.

    DDP all-reduces the trained gradients (twice the ring fraction); ZeRO-1 reduce-scatters them and gathers
    the new weights; ZeRO-2 gathers the new weights; HSDP all-reduces the shard's gradients across nodes.
    """
    ranks = run.gpus / (run.tp * run.pp)
    trained = _trained_here(run)
    if run.sharding in ("ddp", "zero1"):
        volume = trained * (_gradient_bytes(run) + 2.0)
    elif run.sharding == "zero2":
        volume = trained * 2.0
    elif run.sharding == "hsdp":
        groups = np.maximum(ranks / run.shards, 1.0)
        rate = run.accelerator.node_link_bytes_per_s * constants["network_fraction"]
        seconds: Number = 4.0 * trained / run.shards * ring_fraction(groups) / rate
        return seconds
    else:
        return 0.0 * run.gpus
    rate = link_bytes_per_s(run=run, constants=constants, ranks=ranks, stride=run.tp)
    latency = float(run.architecture.layers) / run.pp * _latency_s(run, constants, ranks)
    return volume * ring_fraction(ranks) / rate + latency


def tensor_parallel_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Link seconds per micro-batch of tensor parallelism with sequence parallelism.

    Each layer gathers and reduce-scatters the hidden states twice in a forward and twice in a backward:
    4 x tokens x hidden x 2 bytes x (tp - 1) / tp per pass. Source: Korthikanti et al. 2022 (arXiv 2205.05198).
    """
    arch = run.architecture
    passes = forward + 1.0
    volume = 4.0 * 2.0 * run.micro_batch_tokens * arch.hidden * arch.layers * passes / run.pp
    rate = link_bytes_per_s(run=run, constants=constants, ranks=run.tp, stride=1.0)
    latency = 4.0 * arch.layers * passes / run.pp * _latency_s(run, constants, run.tp)
    return volume * ring_fraction(run.tp) / rate + latency


def context_parallel_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Link seconds per micro-batch of context parallelism: keys and values go round the ring in every pass,
    their gradients too in the backward."""
    arch = run.architecture
    kv_bytes = 2.0 * 2.0 * run.micro_batch_tokens * float(arch.kv_features) * arch.attention_layers
    volume = kv_bytes * (forward + 2.0) * (run.cp - 1.0) / (run.tp * run.pp)
    rate = link_bytes_per_s(run=run, constants=constants, ranks=run.cp, stride=run.tp)
    latency = arch.attention_layers * (forward + 1.0) / run.pp * _latency_s(run, constants, run.cp)
    return volume / rate + latency


def expert_parallel_s(*, run: Run, constants: Constants, forward: Number) -> Number:
    """Link seconds per micro-batch of expert parallelism: tokens go to their experts and back in every pass.

    Inside a node every routed copy of a token travels to its rank. Between nodes it travels once to each of
    the other nodes that hold one of its k experts, n (1 - (1 - 1/n)^k) of n nodes on average, and is copied
    there. Source: derived; dispatch as in DeepSeek-AI 2024 (arXiv 2412.19437), section 3.2.2.
    """
    arch = run.architecture
    if not arch.experts:
        return 0.0 * run.ep
    routed = float(arch.experts_per_token)
    volume = 2.0 * run.micro_batch_tokens * arch.hidden * 2.0 * arch.moe_layers / run.pp * (forward + 1.0)
    near = np.minimum(run.ep, np.maximum(run.accelerator.gpus_per_node, 1.0))
    nodes = run.ep / near
    link = link_bytes_per_s(run=run, constants=constants, ranks=near, stride=1.0)
    port = run.accelerator.node_link_bytes_per_s * constants["network_fraction"]
    inside = routed * ring_fraction(near) / link
    visited = nodes * (1.0 - (1.0 - 1.0 / nodes) ** routed)
    outside = visited * ring_fraction(nodes) / port
    latency = 2.0 * arch.moe_layers * (forward + 1.0) / run.pp * _latency_s(run, constants, run.ep)
    return volume * (inside + outside) + latency
