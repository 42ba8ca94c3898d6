"""Flags of one run: estimated, measured, or calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reports.options.flag import OUTPUT, TRAIN, WORK, Flag, Place, as_json, model, profile, settings


def estimate_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost estimate``: the vocabulary of measured runs."""

    def degree(name: str, what: str) -> Flag:
        return Flag(name, type=int, default=1, panel=TRAIN, help=f"{what} parallel degree. [1]")

    return (
        model(),
        Flag("--method", default="lora", panel=TRAIN, help="full, lora or qlora. [lora]"),
        Flag("--gpu", default="a100-80gb-sxm", panel=TRAIN, help="Card. [a100-80gb-sxm]"),
        Flag("--gpus", type=int, default=1, panel=TRAIN, help="Cards of the whole job. [1]"),
        Flag("--sharding", panel=TRAIN, help="none, ddp, zero1, zero2, fsdp, hsdp. [none, ddp, or fsdp for full]"),
        degree("--tp", "Tensor"),
        degree("--pp", "Pipeline"),
        degree("--cp", "Context"),
        degree("--ep", "Expert"),
        Flag("--offload", panel=TRAIN, help="params, activations or all, to host memory."),
        Flag("--micro-batch", type=int, default=1, panel=WORK, help="Sequences per GPU and micro-step. [1]"),
        Flag("--global-batch", type=int, panel=WORK, help="Sequences per step. [one micro-batch per replica]"),
        Flag("--seq-len", type=int, default=2048, panel=WORK, help="Tokens per sequence. [2048]"),
        Flag("--recompute", panel=TRAIN, help="none, selective or full. [the stack's default]"),
        Flag("--quantization", panel=TRAIN, help="nf4, nf4-double, int8, gptq-int4, gptq-int8. [nf4 for qlora]"),
        Flag(
            "--experts-quantized/--no-experts-quantized",
            default=None,
            panel=TRAIN,
            help="Routed experts are quantised too; no under Transformers 5. [yes]",
        ),
        Flag(
            "--packing/--no-packing",
            "packed",
            default=None,
            panel=TRAIN,
            help="Sequences of one length; no: rows padded to the longest. [packing]",
        ),
        Flag("--weights-dtype", panel=TRAIN, help="bf16, fp16 or fp32. [the stack's default]"),
        Flag("--compute-dtype", panel=TRAIN, help="bf16, fp16, fp8, mxfp8 or nvfp4. [bf16]"),
        Flag(
            "--autocast/--no-autocast",
            default=None,
            panel=TRAIN,
            help="Matrix products under autocast. [the stack's default]",
        ),
        Flag(
            "--optimizer", panel=TRAIN, help='adamw, adamw-8bit, ...; "NAME in-backward" fuses the step. [adamw]'
        ),
        Flag("--lora-rank", type=float, panel=TRAIN, help="Rank of the adapters. [16]"),
        Flag("--lora-targets", panel=TRAIN, help='"q k v o gate up down head", attention or all. [all]'),
        Flag("--also-trained", panel=TRAIN, help='Modules trained whole: "embeddings head".'),
        Flag("--attention", panel=TRAIN, help="flash or eager. [flash]"),
        Flag("--stack", panel=TRAIN, help="Training software. [hf]"),
        Flag("--loss", panel=TRAIN, help="full, chunked or fused. [the stack's default]"),
        Flag("--what-if", is_flag=True, panel=OUTPUT, help="List the changes that would make it fit."),
        Flag("--plot", type=Place(), panel=OUTPUT, help="Roofline picture, a PNG file."),
        Flag("--dpi", type=int, panel=OUTPUT, help="Pixels per inch of the picture. [150]"),
        settings(),
        profile(),
        as_json(),
    )


def measure_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost measure``: one setting in the vocabulary of measured runs, or a grid of them."""
    return (
        model(required=False),
        Flag(
            "--grid",
            panel=WORK,
            help="small, full, or a CSV or TOML file of settings instead of one; --model replaces its models.",
        ),
        Flag("--method", panel=TRAIN, help="full, lora or qlora. [lora]"),
        Flag("--micro-batch", type=int, panel=WORK, help="Sequences per step. [1]"),
        Flag("--seq-len", type=int, panel=WORK, help="Tokens per sequence. [2048]"),
        Flag("--recompute", panel=TRAIN, help="none or full. [full]"),
        Flag("--quantization", panel=TRAIN, help="nf4 or nf4-double. [nf4 for qlora]"),
        Flag("--weights-dtype", panel=TRAIN, help="bf16, fp16 or fp32. [bf16]"),
        Flag(
            "--autocast/--no-autocast",
            default=None,
            panel=TRAIN,
            help="Products under autocast. [no; always for qlora]",
        ),
        Flag("--optimizer", panel=TRAIN, help="adamw, adamw-fused, adamw-8bit or paged-adamw. [adamw]"),
        Flag("--lora-rank", type=float, panel=TRAIN, help="Rank of the adapters. [16]"),
        Flag("--lora-targets", panel=TRAIN, help='"q k v o gate up down", attention or all. [all]'),
        Flag("--attention", panel=TRAIN, help="flash (PyTorch's fused kernels) or eager. [flash]"),
        Flag("--loss", panel=TRAIN, help="full (all logits) or fused (logits never stored). [full]"),
        Flag("--stack", panel=TRAIN, help="hf, or hf-compile for torch.compile. [hf]"),
        Flag("--steps", type=int, default=8, panel=WORK, help="Timed steps per setting, after the warm-up. [8]"),
        Flag(
            "--device",
            default="accelerator",
            panel=WORK,
            help="accelerator, or cpu for tiny models. [accelerator]",
        ),
        Flag("--limit-s", type=float, default=900.0, panel=WORK, help="Most seconds of one setting. [900]"),
        Flag("--no-ceilings", is_flag=True, panel=WORK, help="Leave out the probe of the card's own ceilings."),
        Flag(
            "--predict-only",
            is_flag=True,
            panel=OUTPUT,
            help="Write the settings with their predictions for --gpu, and measure nothing.",
        ),
        Flag("--gpu", panel=TRAIN, help="Card of --predict-only, or what an unknown card is. [the one found]"),
        profile(),
        Flag(
            "--out",
            type=Place(),
            required=True,
            panel=OUTPUT,
            help="CSV file of the rows; the ceilings go to NAME-ceilings.csv beside it.",
        ),
        Flag("--append", is_flag=True, panel=OUTPUT, help="Go on with a file; settings it holds are left out."),
    )


def calibrate_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost calibrate``."""
    return (
        click.Argument(["file"], required=False, type=click.Path(path_type=Path), metavar="[RUNS.CSV]"),
        Flag("--name", panel=WORK, help="Name of the profile. [the file's name]", example='"mybox"'),
        Flag("--replace", is_flag=True, panel=OUTPUT, help="Write over a profile of that name."),
        Flag(
            "--config-dir",
            type=click.Path(path_type=Path),
            panel=OUTPUT,
            help="Configuration folder. [FTCOST_CONFIG_DIR, or the system's]",
        ),
        Flag("--list", "list_them", is_flag=True, panel=OUTPUT, help="List the profiles that there are."),
        as_json(),
    )


def validate_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost validate``."""
    return (
        Flag(
            "--runs",
            type=click.Path(path_type=Path),
            panel=WORK,
            help="CSV of measured runs. Required: model, method, gpu, micro_batch, seq_len. Measured:"
            " peak_memory_gib (memory_kind: allocated, reserved, active or nvidia-smi), reserved_gib, device_gib,"
            " tokens_per_s_per_gpu, or outcome out-of-memory; serving: output_tokens_per_s_per_gpu.",
        ),
        Flag("--summary", is_flag=True, panel=OUTPUT, help="Only the errors over all runs and by method."),
        settings(),
        profile(),
        as_json(),
    )
