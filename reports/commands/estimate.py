"""``ftcost estimate``: one configuration, as JSON for programs and as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from estimator.accelerators import accelerators
from estimator.assumptions import Assumptions
from estimator.errors import InputError
from estimator.flop import hardware_flop_per_token, micro_batch_matmul_flop, model_flop_per_token
from estimator.machine import FACTORS, machine_name, profile_notes
from estimator.measured import measured_row
from estimator.memory import fits_word, fuses_loss, memory, with_whole_experts
from estimator.memory.stacks import upcast_base
from estimator.numbers import GIB
from estimator.parameters import active_parameters, total_parameters, trainable_parameters
from estimator.run import Run
from estimator.search.market import stack_vendors
from estimator.search.what_if import MOST_CARDS, what_if
from estimator.speed import resource_fractions, speed
from estimator.words import count, percent
from reports.flags import MAX_GPUS, MAX_MICRO_BATCH, parse_settings, registry, whole
from reports.screen import Screen, numbers, words

SCHEMA = 1
MAX_SEQ_LEN = 100_000_000
MAX_LORA_RANK = 8192

PRODUCT_PEAKS = {
    "bf16": "bf16_flop_per_s",
    "fp16": "fp16_flop_per_s",
    "fp8": "fp8_flop_per_s",
    "mxfp8": "fp4_flop_per_s",
    "nvfp4": "fp4_flop_per_s",
}
"""The figure of the catalogue that says whether a card has units for the type; those for mxfp8 came with fp4."""

MEMORY_FORMULAS = {
    "weights": "held_parameters",
    "quantization_constants": "quantized_bytes_per_parameter",
    "adapters": "adapter_parameters",
    "masters": "states",
    "moments": "moment_bytes_per_parameter",
    "gradients": "states",
    "update_temporary": "states",
    "activations": "layer_bytes_per_token",
    "layer_working_set": "turn_bytes_per_token",
    "logits_and_loss": "loss_bytes_per_logit",
    "gathered_shards": "gathered",
    "weight_casts": "moments",
    "dequantization": "moments",
}
TIME_FORMULAS = {
    "matrix products": "products_s",
    "expert products": "products_s",
    "attention": "attention_s",
    "vocabulary": "loss_s",
    "element-wise": "elementwise_s",
    "casts": "low_precision_cast_s",
    "adapters": "adapters_s",
    "dequantisation": "dequantise_s",
    "gradient accumulation": "accumulation_s",
    "optimizer": "optimizer_s",
    "kernel launch": "launch_s",
    "offload": "offload_s",
    "sharding": "sharding_micro_batch_s",
    "gradient synchronisation": "sharding_step_s",
    "tensor parallel": "tensor_parallel_s",
    "context parallel": "context_parallel_s",
    "expert parallel": "expert_parallel_s",
    "pipeline bubble": "bubble_fraction",
    "stragglers": "exposed_parts_s",
}
"""The formula behind each part, by the name that ``ftcost explain`` takes."""


def run_from_flags(
    *,
    model: str,
    gpu: str,
    settings: Iterable[str],
    profile: str | None,
    counts: Mapping[str, int],
    micro_batch: int,
    global_batch: int | None,
    seq_len: int,
    lora_rank: float | None,
    cells: Mapping[str, str | None],
) -> tuple[Run, Assumptions]:
    """A run from flags in the vocabulary of measured runs; what is not said is filled by the stack's defaults.

    Adapters default to the plan's: the registry's rank on all modules.

    Raises:
        InputError: a value outside what is allowed, or degrees that do not divide the cards.
    """
    values = registry(profile).setting(parse_settings(settings))
    for flag, number in counts.items():
        whole(number, flag=flag, low=1, high=MAX_GPUS)
    whole(micro_batch, flag="--micro-batch", low=1, high=MAX_MICRO_BATCH)
    whole(global_batch, flag="--global-batch", low=1, high=MAX_MICRO_BATCH * MAX_GPUS)
    whole(seq_len, flag="--seq-len", low=1, high=MAX_SEQ_LEN)
    gpus = counts["--gpus"]
    degrees = counts["--tp"] * counts["--pp"] * counts["--cp"]
    if gpus % degrees:
        default = " (the default)" if gpus == 1 else ""
        raise InputError(
            f"--gpus {gpus}{default} is not a multiple of --tp x --pp x --cp = {degrees}."
            f" Give a multiple of {degrees}."
        )
    if lora_rank is not None and not 0 < lora_rank <= MAX_LORA_RANK:
        raise InputError(f"--lora-rank {lora_rank:g} is outside 1 to {MAX_LORA_RANK:,}.")
    if cells["method"] != "qlora" and cells["quantization"] and cells["method"] == "full":
        raise InputError("--quantization freezes the base; it goes with --method qlora, not full.")
    adapters = cells["method"] != "full"
    if not adapters:
        for flag, value in (("--lora-rank", lora_rank), ("--lora-targets", cells["lora_targets"])):
            if value is not None:
                raise InputError(f"{flag} shapes adapters, and --method full trains none. Drop it, or use lora.")
    filled = {name: value for name, value in cells.items() if value}
    if adapters:
        filled.setdefault("lora_targets", "all")
        filled["lora_rank"] = f"{lora_rank or values['lora_rank']:g}"
    filled |= {flag.removeprefix("--"): str(number) for flag, number in counts.items()}
    filled |= {"model": model, "gpu": gpu, "micro_batch": str(micro_batch), "seq_len": str(seq_len)}
    if global_batch is not None:
        filled["global_batch"] = str(global_batch)
    run = measured_row(filled, name="flags").run
    _check_degrees(run, counts)
    _check_products(run, asked=cells["compute_dtype"])
    return run, values


def _check_products(run: Run, *, asked: str | None) -> None:
    """Refuse matrix products in a type for which the card has no units."""
    peaks = {dtype: float(getattr(run.accelerator, figure)) for dtype, figure in PRODUCT_PEAKS.items()}
    if asked and not peaks[asked]:
        allowed = [dtype for dtype, peak in peaks.items() if peak]
        raise InputError(
            f"--compute-dtype {asked}: {run.accelerator.id} has no units for it. Allowed: {', '.join(allowed)}."
        )


def _check_degrees(run: Run, counts: Mapping[str, int]) -> None:
    """Refuse degrees, shardings and batches that the model's shape or the number of cards does not allow."""
    shape, gpus, ep = run.architecture, counts["--gpus"], counts["--ep"]
    for flag, most, what in (
        ("--tp", shape.heads, "attention heads"),
        ("--pp", shape.layers, "layers"),
        ("--ep", max(shape.experts, 1), "routed experts" if shape.experts else "routed experts (it is dense)"),
    ):
        if counts[flag] > most:
            raise InputError(
                f"{flag} {counts[flag]} is more than the {most} {what} of {shape.id}. Use 1 to {most}."
            )
    if shape.heads % counts["--tp"]:
        allowed = [str(degree) for degree in range(1, shape.heads + 1) if not shape.heads % degree]
        raise InputError(
            f"--tp {counts['--tp']} does not divide the {shape.heads} attention heads of {shape.id}."
            f" Allowed: {', '.join(allowed)}."
        )
    if gpus % ep:
        raise InputError(f"--ep {ep} does not divide --gpus {gpus}. Give a multiple of {ep} cards.")
    replicas = int(run.data_parallel)
    if run.sharding == "none" and replicas > 1:
        raise InputError(
            f"--sharding none is of one replica, and --gpus {gpus} makes {replicas}. Use ddp, zero1, zero2, fsdp"
            " or hsdp, or raise --tp, --pp or --cp."
        )
    step, asked = int(run.micro_batch) * replicas, int(run.global_batch)
    if asked % step:
        raise InputError(
            f"--global-batch {asked} is not a multiple of {step}: --micro-batch {run.micro_batch:g} on each of"
            f" {replicas} {'replica' if replicas == 1 else 'replicas'}. Give a multiple of {step}, or fewer cards."
        )


def answer_estimate(*, run: Run, constants: Assumptions) -> dict[str, Any]:
    """The machine-readable answer, schema 1: model, memory, flop and speed."""
    held = memory(run=run, constants=constants)
    whole = with_whole_experts(run=run, constants=constants)
    going = speed(run=run, constants=constants)
    architecture = run.architecture
    return {
        "schema": SCHEMA,
        "model": {
            "id": architecture.id,
            "parameters": total_parameters(architecture=architecture),
            "active_parameters": active_parameters(architecture=architecture),
            "trainable_parameters": round(float(trainable_parameters(run=run))),
        },
        "memory": {
            "allocated_bytes": float(held.allocated_bytes),
            **({"whole_experts_bytes": float(whole.allocated_bytes)} if whole else {}),
            "reserved_bytes": float(held.reserved_bytes),
            "device_bytes": float(held.device_bytes),
            "device_low_bytes": float(held.low_bytes),
            "device_high_bytes": float(held.high_bytes),
            "limit_bytes": float(held.limit_bytes),
            "fits": fits_word(float(held.fits_probability)),
            "fits_probability": float(held.fits_probability),
            "moment": str(held.moment),
            "parts_bytes": {name: float(part) for name, part in held.parts_bytes.items()},
        },
        "flop": {
            "micro_batch_matmul_flop": float(micro_batch_matmul_flop(run=run)),
            "model_flop_per_token": float(model_flop_per_token(run=run)),
            "hardware_flop_per_token": float(hardware_flop_per_token(run=run)),
        },
        "speed": {
            "tokens_per_s_per_gpu": float(going.tokens_per_s_per_gpu),
            "tokens_per_s_per_gpu_low": float(going.tokens_per_s_per_gpu * going.low_factor),
            "tokens_per_s_per_gpu_high": float(going.tokens_per_s_per_gpu * going.high_factor),
            "step_s": float(going.step_s),
            "mfu": float(going.mfu),
            "hfu": float(going.hfu),
            "parts_s": {name: float(part) for name, part in going.parts_s.items()},
            "bound_by_fraction": {
                name: float(share) for name, share in resource_fractions(parts_s=going.parts_s).items()
            },
        },
        "run": {
            "method": run.method,
            "gpu": run.accelerator.id,
            "gpus": float(run.gpus),
            "sharding": run.sharding,
            "micro_batch": float(run.micro_batch),
            "global_batch": float(run.global_batch),
            "seq_len": float(run.seq_len),
            "recompute": run.recompute,
            "quantization": run.quantization,
            **({} if run.experts_quantized else {"experts_quantized": False}),
            **({} if run.packed else {"packed": False}),
            "weights_dtype": run.weights_dtype,
            "compute_dtype": run.compute_dtype,
            "autocast": run.autocast,
            "optimizer": run.optimizer + (" in-backward" if run.optimizer_in_backward else ""),
            "lora_rank": float(run.lora_rank),
            "lora_targets": " ".join(run.lora_targets),
            "also_trained": " ".join(run.also_trained),
            "attention": run.attention,
            "stack": run.stack,
            "loss": run.loss,
            "offload": run.offload,
        },
    }


def what_if_rows(*, run: Run, constants: Assumptions) -> list[dict[str, Any]]:
    """Changes that make the run fit, cheapest first."""
    return [asdict(change) for change in what_if(run=run, constants=constants)]


def show_what_if(rows: Sequence[Mapping[str, Any]], *, limit_bytes: float, fits: bool, screen: Screen) -> None:
    """The changes as a table; where the run fits, what would be as safe, and at what cost."""
    title = "It fits; what else would" if fits else "What would make it fit"
    screen.heading(f"{title} (cheapest per token first)")
    if not rows and fits:
        screen.line("No single change of these settings does.")
        return
    if not rows:
        screen.line(
            f"No three changes together do, up to {MOST_CARDS} cards; try a smaller model or a larger card."
        )
        return
    screen.table(
        [*words("change"), *numbers("GiB", "fits"), *numbers("cost per token")],
        [
            [
                row["flags"],
                f"{row['allocated_bytes'] / GIB:.1f} of {limit_bytes / GIB:.1f}",
                f"{row['fits']} ({percent(row['fits_probability'])})",
                f"x {row['relative_cost']:.2f}",
            ]
            for row in rows
        ],
    )


def machine_notes(*, run: Run, constants: Assumptions) -> tuple[str, ...]:
    """What a profile says about this card and stack, or that it says nothing of them."""
    notes = profile_notes(constants)
    own = {machine_name(what=what, gpu=str(run.accelerator.id), stack=run.stack) for what in FACTORS}
    if not notes or own & set(constants):
        return notes
    return (*notes, f"Nothing was measured on {run.accelerator.id} with {run.stack}: the shipped constants hold.")


def expert_notes(*, run: Run, answer: Mapping[str, Any]) -> tuple[str, ...]:
    """What Transformers 5 does to a quantised mixture, where the run is estimated as Transformers 4 has it."""
    held = answer["memory"]
    if "whole_experts_bytes" not in held:
        return ()
    dtype = "fp32, which PEFT's k-bit preparation makes of it" if upcast_base(run) else run.weights_dtype
    return (
        f"Under Transformers 5, bitsandbytes leaves the experts, one tensor a layer, in {dtype}: the peak is then"
        f" {held['whole_experts_bytes'] / GIB:.2f} GiB instead of {held['allocated_bytes'] / GIB:.2f} GiB"
        " (--no-experts-quantized)."
        " Transformers 4 quantises them, as do stacks that pack experts themselves.",
    )


def run_notes(*, run: Run) -> tuple[str, ...]:
    """A fused loss that the stack lacks, sequences beyond the model's positions, a card that the stack lacks."""
    shape, notes = run.architecture, []
    if run.loss == "fused" and not fuses_loss(run):
        notes.append(f"Loss fused is taken as full: {run.stack} has no fused loss for the family {shape.family}.")
    if shape.max_position and float(run.seq_len) > shape.max_position:
        notes.append(
            f"{run.seq_len:,.0f} tokens exceed the {shape.max_position:,} positions of {shape.id}: without longer"
            " position embeddings the model does not learn from them, and `ftcost plan` refuses it."
        )
    card = str(run.accelerator.id)
    if accelerators()[card].vendor not in stack_vendors(run.stack):
        notes.append(
            f"The stack {run.stack} does not run on {card}: these are the figures of a card with its rates, and"
            " `ftcost plan` refuses it."
        )
    return tuple(notes)


def show_estimate(*, run: Run, answer: Mapping[str, Any], screen: Screen, notes: Sequence[str] = ()) -> None:
    """The same answer as tables: settings, memory by part, where the step's time goes."""
    model, held, flop, going = answer["model"], answer["memory"], answer["flop"], answer["speed"]
    screen.line(f"{model['id']}: {count(model['parameters'])} parameters, {_trained(model)} trained")
    settings = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in answer["run"].items()
        if value != ""
    ]
    screen.line(", ".join(settings))
    for note in notes:
        screen.line(note)

    screen.heading(f"Memory per GPU at its peak ({held['moment']})")
    rows = [
        [
            name.replace("_", " "),
            f"{part / GIB:.2f}",
            percent(part / held["allocated_bytes"]),
            MEMORY_FORMULAS[name],
        ]
        for name, part in sorted(held["parts_bytes"].items(), key=lambda pair: -pair[1])
        if part
    ]
    total = ["allocated", f"{held['allocated_bytes'] / GIB:.2f}", "100 %", ""]
    screen.table([*words("part"), *numbers("GiB", "share"), *words("ftcost explain")], [*rows, total])
    screen.line(
        f"Reserved by the allocator {held['reserved_bytes'] / GIB:.2f} GiB; on the device"
        f" {held['device_bytes'] / GIB:.2f} GiB ({held['device_low_bytes'] / GIB:.2f} to"
        f" {held['device_high_bytes'] / GIB:.2f}, P10 to P90) of {held['limit_bytes'] / GIB:.2f} GiB."
    )
    screen.line(
        f"Fits: {held['fits']} ({percent(held['fits_probability'])}), compared with what the driver leaves of the"
        " device."
    )

    screen.heading("Where an optimizer step's time goes")
    rows = [
        [name, f"{1000 * part:,.1f}", percent(part / going["step_s"]), TIME_FORMULAS[name]]
        for name, part in sorted(going["parts_s"].items(), key=lambda pair: -pair[1])
        if part
    ]
    total = ["step", f"{1000 * going['step_s']:,.1f}", "100 %", ""]
    screen.table([*words("part"), *numbers("ms", "share"), *words("ftcost explain")], [*rows, total])
    bound = sorted(going["bound_by_fraction"].items(), key=lambda pair: -pair[1])
    screen.line(
        "Bound by " + ", ".join(f"{name} {percent(share)}" for name, share in bound if share >= 0.005) + "."
    )
    screen.line(
        f"{going['tokens_per_s_per_gpu']:,.0f} tokens/s per GPU ({going['tokens_per_s_per_gpu_low']:,.0f} to"
        f" {going['tokens_per_s_per_gpu_high']:,.0f}, P10 to P90); MFU {percent(going['mfu'])}, HFU"
        f" {percent(going['hfu'])}."
    )
    screen.line(
        f"{flop['micro_batch_matmul_flop']:.4g} FLOP in matrix products per micro-batch; per token"
        f" {flop['model_flop_per_token']:.4g} of the model, {flop['hardware_flop_per_token']:.4g} executed."
    )


def _trained(model: Mapping[str, Any]) -> str:
    share = 100 * model["trainable_parameters"] / model["parameters"]
    return f"{count(model['trainable_parameters'])} ({share:.3g} %)"
