"""Fit the constants of the serving model on measured throughput and write them to the registry.

    python benchmarks/fit_serving.py            # errors of the shipped fit, and of refits without each
    python benchmarks/fit_serving.py --write    # also write estimator/data/serving.toml

Least squares on the logarithm of predicted over measured throughput, with a soft L1 loss (one odd run must
not move a constant) and a pull towards the prior, so that a constant which few rows inform stays near a round
value that is physically sensible. The priors were chosen with all rows in view, so the errors with a model or
part left out are somewhat better than those of truly new ones. Groups of rows of one model, part, degree and
type share their weight in part: a sweep over lengths tells less than as many separate systems. Each model,
then each part, is left out in turn.

Needs scipy, which the program itself does not.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from estimator.accelerators import resolve_accelerator, stack_accelerators
from estimator.numbers import Array
from estimator.serving.rates import is_amd
from estimator.serving.setup import ServingSetup
from estimator.serving.throughput import serving
from estimator.serving.validation import calibration_rows, setup_of_row

REGISTRY = Path(__file__).parent.parent / "estimator" / "data" / "serving.toml"
CHECKED = "2026-11-21"
FITTED_ON = "fitted on published throughput of inference engines (benchmarks/fit_serving.py)"


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A row of the registry: fitted between ``low`` and ``high`` where status is "fitted", else fixed."""

    name: str
    label: str
    unit: str
    prior: float
    low: float
    high: float
    status: str = "fitted"
    source: str = FITTED_ON


def _fitted(name: str, label: str, unit: str, prior: float, low: float, high: float) -> Constant:
    return Constant(name=name, label=label, unit=unit, prior=prior, low=low, high=high)


def _fixed(
    name: str, label: str, unit: str, value: float, status: str, source: str, spread: float = 0.0
) -> Constant:
    return Constant(
        name=name,
        label=label,
        unit=unit,
        prior=value,
        low=value * (1.0 - spread),
        high=value * (1.0 + spread),
        status=status,
        source=source,
    )


PULL = 1.0
"""Weight of one unit of log distance from the prior, beside the rows' log errors."""

PEAK = "fraction of the dense peak"
CONSTANTS: tuple[Constant, ...] = (
    _fixed(
        "serving_engine_bytes_per_gpu",
        "runtime, graphs and activations of the engine",
        "bytes",
        1.5e9,
        "measured",
        "memory reports of the calibration runs' engines, about 1.5 GB",
        0.4,
    ),
    _fixed(
        "serving_usable_memory_fraction",
        "memory left to the cache after weights and engine that it may use",
        "fraction",
        0.96,
        "measured",
        "memory reports of the calibration runs' engines",
        0.04,
    ),
    _fixed(
        "serving_mixer_state_per_hidden",
        "state of a recurrent mixer over hidden features",
        "ratio",
        256.0,
        "published",
        "Mamba-2 (Dao and Gu 2024): expansion 2 x state 128",
    ),
    _fixed(
        "serving_max_sequences_tensorrt_llm",
        "sequences in flight per rank, tensorrt-llm",
        "sequence",
        2048.0,
        "published",
        "default max_batch_size of TensorRT-LLM",
    ),
    _fixed(
        "serving_max_sequences_vllm",
        "sequences in flight per rank, vllm",
        "sequence",
        1024.0,
        "published",
        "default max_num_seqs of vLLM's V1 engine on large parts",
    ),
    _fixed(
        "serving_max_sequences_vllm_0_6",
        "sequences in flight per rank, vllm 0.6",
        "sequence",
        256.0,
        "published",
        "default max_num_seqs of vLLM 0.6",
    ),
    _fixed(
        "serving_max_sequences_sglang",
        "sequences in flight per rank, sglang",
        "sequence",
        2048.0,
        "guess",
        "guess: sglang bounds running requests by memory",
    ),
    _fixed(
        "serving_max_sequences_lmdeploy",
        "sequences in flight per rank, lmdeploy",
        "sequence",
        256.0,
        "published",
        "default max_batch_size of LMDeploy on data-centre parts",
    ),
    _fitted("serving_matmul_fraction_ampere", "matrix products, Ampere", PEAK, 0.70, 0.3, 1.0),
    _fitted("serving_matmul_fraction_ada", "matrix products, Ada", PEAK, 0.55, 0.2, 1.0),
    _fitted("serving_matmul_fraction_hopper", "matrix products, Hopper", PEAK, 0.65, 0.3, 1.0),
    _fitted("serving_matmul_fraction_blackwell", "matrix products, Blackwell", PEAK, 0.55, 0.3, 0.85),
    _fitted(
        "serving_matmul_fraction_blackwell_consumer",
        "matrix products, Blackwell workstation and consumer cards",
        PEAK,
        0.62,
        0.3,
        0.85,
    ),
    _fixed(
        "serving_matmul_fraction_cdna",
        "matrix products, AMD Instinct",
        PEAK,
        0.5,
        "measured",
        "plain matrix products reach 0.51-0.68 on MI300X-MI355X (stas00/ml-engineering, 2026-08)",
        0.2,
    ),
    _fixed(
        "serving_matmul_fraction_other",
        "matrix products, any other part",
        PEAK,
        0.5,
        "guess",
        "guess: below every measured NVIDIA generation",
        0.3,
    ),
    _fixed(
        "serving_matmul_fraction_cpu",
        "matrix products, processors",
        PEAK,
        0.35,
        "guess",
        "guess: below every accelerator; clocks fall under wide vector and tile units",
        0.4,
    ),
    *(
        _fixed(
            f"serving_watt_per_flop_per_s_{name}",
            f"board power over 16-bit peak of the generation's usual part, {label}",
            "W/(FLOP/s)",
            watt / flop_per_s,
            "published",
            f"vendor data sheet, {label}",
        )
        for name, label, watt, flop_per_s in (
            ("ampere", "A100 SXM", 400.0, 312e12),
            ("ada", "L40S", 350.0, 362e12),
            ("hopper", "H100 SXM", 700.0, 989.4e12),
            ("blackwell", "B200", 1000.0, 2250e12),
            ("blackwell_consumer", "RTX PRO 6000", 600.0, 503.8e12),
            ("cdna", "MI300X", 750.0, 1307.4e12),
            ("other", "T4", 70.0, 65e12),
        )
    ),
    _fixed(
        "serving_watt_per_flop_per_s_cpu",
        "board power over 16-bit peak of the generation's usual part, Xeon 8488C",
        "W/(FLOP/s)",
        350.0 / 118e12,
        "guess",
        "guess: 350 W over 118 TFLOP/s",
    ),
    _fitted("serving_power_exponent", "clock under a power limit", "exponent", 0.5, 0.1, 1.0),
    _fitted("serving_fp8_fraction", "fp8 products over the 16-bit fraction of peak", "ratio", 1.0, 0.5, 1.2),
    _fitted("serving_fp4_fraction", "fp4 products over the 16-bit fraction of peak", "ratio", 0.75, 0.1, 1.0),
    _fitted("serving_memory_fraction", "memory bandwidth reached", "fraction", 0.9, 0.5, 0.95),
    _fixed(
        "serving_memory_fraction_cpu",
        "memory bandwidth reached, processors",
        "fraction",
        0.75,
        "guess",
        "guess: STREAM on server processors reaches about four fifths of their channels; engines a little less",
        0.2,
    ),
    _fitted("serving_link_fraction", "bandwidth reached over NVLink and xGMI", "fraction", 0.7, 0.2, 1.0),
    _fitted("serving_bus_fraction", "bandwidth reached over PCI Express", "fraction", 0.5, 0.1, 1.0),
    _fitted("serving_exchange_s", "start of one exchange between ranks", "s", 30e-6, 1e-6, 100e-6),
    _fitted("serving_layer_s", "launches of one layer and step", "s", 60e-6, 5e-6, 200e-6),
    _fitted("serving_sequence_s", "scheduling and sampling of one sequence and step", "s", 5e-6, 1e-7, 1e-4),
    _fitted("serving_request_s", "admission of one request", "s", 1e-4, 1e-6, 5e-3),
    _fitted(
        "serving_activation_passes", "hidden-wide vectors moved per token and layer", "ratio", 30.0, 0.5, 60.0
    ),
    _fitted("serving_expert_tile_tokens", "padding of each touched expert's rows", "token", 32.0, 1.0, 512.0),
    _fixed(
        "serving_step_tokens",
        "tokens of one engine step",
        "token",
        8192.0,
        "published",
        "default max_num_tokens of TensorRT-LLM",
    ),
    _fitted("serving_expert_fraction", "grouped expert products over dense ones", "ratio", 0.8, 0.1, 1.0),
    _fitted(
        "serving_expert_half_width",
        "expert width at half that rate, per PFLOP/s",
        "feature/(PFLOP/s)",
        500.0,
        1.0,
        20000.0,
    ),
    _fitted(
        "serving_widened_expert_fraction",
        "widened 4-bit experts over dense products",
        "ratio",
        0.35,
        0.03,
        1.0,
    ),
    _fitted("serving_expert_imbalance", "excess of the busiest expert rank", "ratio", 4.0, 0.5, 20.0),
    _fixed(
        "serving_engine_factor_tensorrt_llm",
        "throughput, tensorrt-llm",
        "ratio",
        1.0,
        "computed",
        "the reference",
    ),
    _fixed(
        "serving_engine_factor_vllm",
        "throughput over tensorrt-llm, vllm",
        "ratio",
        0.85,
        "published",
        "secondary: tensorrt-llm 13-40 % ahead of vLLM",
        0.18,
    ),
    _fixed(
        "serving_engine_factor_sglang",
        "throughput over tensorrt-llm, sglang",
        "ratio",
        0.9,
        "guess",
        "guess: between vLLM and tensorrt-llm",
        0.15,
    ),
    _fixed(
        "serving_engine_factor_vllm_0_6",
        "throughput over tensorrt-llm, vllm 0.6",
        "ratio",
        1.0,
        "computed",
        "its lower rates have constants of their own",
    ),
    _fitted("serving_engine_factor_lmdeploy", "throughput over tensorrt-llm, lmdeploy", "ratio", 1.0, 0.5, 1.3),
    _fitted("serving_matmul_factor_vllm_0_6", "fp8 products of vllm 0.6 over the rest", "ratio", 0.3, 0.02, 1.0),
    _fitted("serving_peer_s_vllm_0_6", "start per cubed peer, vllm 0.6 on AMD", "s", 1.2e-6, 1e-8, 1e-5),
    _fixed(
        "serving_low_engine",
        "P10 of an unmeasured engine's throughput over its factor",
        "ratio",
        0.84,
        "published",
        "secondary: tensorrt-llm up to 40 % ahead of vLLM, over the factor of 0.85",
    ),
    _fixed(
        "serving_high_engine",
        "P90 of an unmeasured engine's throughput over its factor",
        "ratio",
        1.15,
        "guess",
        "guess: level with the best of the measured engines",
    ),
    _fixed(
        "serving_adapter_fraction",
        "throughput lost to unmerged adapters",
        "fraction",
        0.10,
        "published",
        "S-LoRA's published logs: 2-21 %, many adapters little more than one",
    ),
)
AMD_LOW = 0.6
"""What the AMD runs reach without the constants of their engine, all of one release and one model: the lower
end for any other engine there."""
KINDS = ("dense", "moe", "fp4", "amd")


class Calibration:
    """Measured rows as a few setups with arrays: one per model, type and engine."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.rows = rows
        self.measured = np.array([float(row["output_tokens_per_s_per_gpu"]) for row in rows])
        groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        setups = [setup_of_row(row) for row in rows]
        for index, setup in enumerate(setups):
            groups[(setup.architecture.id, setup.weights_dtype, setup.engine)].append(index)
        self.blocks: list[tuple[Array, ServingSetup]] = []
        for members in groups.values():

            def column(field: str, members: list[int] = members) -> Array:
                return np.array([getattr(setups[i], field) or np.inf for i in members])

            records = [resolve_accelerator(rows[i]["gpu"]) for i in members]
            block = setups[members[0]].with_(
                accelerator=stack_accelerators(records, axes=1),
                **{f: column(f) for f in ("tp", "ep", "input_tokens", "output_tokens", "batch")},
            )
            self.blocks.append((np.array(members), block))
        systems = [(r["model"], r["gpu"], r["tp"], r["weights_dtype"], r["engine"], r["date"]) for r in rows]
        counts = Counter(systems)
        self.weight = np.array([counts[system] ** -0.25 for system in systems])
        self.kind = np.array([_kind(setup) for setup in setups])
        self.mixture = np.array([bool(setup.architecture.experts) for setup in setups])

    def predicted(self, constants: Mapping[str, float]) -> Array:
        """Generated tokens per second and accelerator, row by row."""
        answer = np.zeros(len(self.rows))
        for members, setup in self.blocks:
            answer[members] = serving(setup=setup, constants=constants).output_tokens_per_s_per_gpu
        return answer


def _kind(setup: ServingSetup) -> str:
    if is_amd(accelerator=setup.accelerator):
        return "amd"
    if setup.weights_dtype == "fp4":
        return "fp4"
    return "moe" if setup.architecture.experts else "dense"


def priors() -> dict[str, float]:
    """Every constant at its prior, with placeholders for the spreads by kind."""
    spreads = {f"serving_{end}_{kind}": 1.0 for end in ("low", "high") for kind in KINDS}
    return {constant.name: constant.prior for constant in CONSTANTS} | spreads


def fit(data: Calibration, kept: Array, start: Mapping[str, float] | None = None) -> dict[str, float]:
    """The constants that suit the kept rows."""
    free = [constant for constant in CONSTANTS if constant.status == "fitted"]
    constants = priors() | dict(start or {})
    prior = np.log([constant.prior for constant in free])
    low = np.log([constant.low for constant in free])
    high = np.log([constant.high for constant in free])
    begin = np.clip(np.log([constants[constant.name] for constant in free]), low + 1e-6, high - 1e-6)

    def residuals(point: Array) -> Array:
        constants.update({c.name: float(v) for c, v in zip(free, np.exp(point), strict=True)})
        error = np.log(np.maximum(data.predicted(constants), 1e-3) / data.measured)
        return np.concatenate([(data.weight * error)[kept], PULL * (point - prior)])

    found = least_squares(
        residuals, begin, bounds=(low, high), loss="soft_l1", f_scale=0.1, max_nfev=60, x_scale=0.3
    )
    residuals(found.x)
    return constants


def left_out(data: Calibration, key: str, start: Mapping[str, float]) -> tuple[Array, list[dict[str, float]]]:
    """Predictions of each row by a fit that saw none of its model (or part), and those fits."""
    values = np.array([row[key] for row in data.rows])
    answer, fits = np.zeros(len(values)), []
    for value in sorted(set(values)):
        constants = fit(data, values != value, start)
        answer[values == value] = data.predicted(constants)[values == value]
        fits.append(constants)
    return answer, fits


def errors(data: Calibration, predicted: Array) -> str:
    """Median and P90 of the relative error: all, dense, mixtures, and by kind."""
    error = np.abs(predicted / data.measured - 1.0)
    parts = {"all": np.ones(len(error), dtype=bool), "dense": ~data.mixture, "moe": data.mixture}
    parts |= {kind: data.kind == kind for kind in ("fp4", "amd")}
    return "   ".join(
        f"{name} {np.median(error[mask]):.1%} / {np.quantile(error[mask], 0.9):.1%} (n={mask.sum()})"
        for name, mask in parts.items()
    )


def spreads(data: Calibration, predicted: Array) -> dict[str, float]:
    """P10 and P90 of measured over predicted by kind, from rows that the fit had not seen."""
    ratio = data.measured / predicted
    found: dict[str, float] = {}
    for kind in KINDS:
        low, high = np.quantile(ratio[data.kind == kind], [0.1, 0.9])
        found[f"serving_low_{kind}"], found[f"serving_high_{kind}"] = float(low), float(high)
    found["serving_low_amd"] = min(found["serving_low_amd"], AMD_LOW)
    return found


CPU_SPREAD = {
    "low": (0.5, "guess: no run measured; memory placement and thread counts matter"),
    "high": (1.5, "guess: engines written for processors may do better"),
}


def registry_text(constants: Mapping[str, float], fits: Sequence[Mapping[str, float]]) -> str:
    """The TOML file: fitted constants with the range that leaving models out gives."""
    lines = [
        "# Constants of the serving model, written by benchmarks/fit_serving.py. low and high of a fitted row are",
        "# its P10 and P90 over fits that leave one model out.",
    ]
    rows = list(CONSTANTS)
    labels = {"low": "P10", "high": "P90"}
    for end, text in labels.items():
        for kind in KINDS:
            value = constants[f"serving_{end}_{kind}"]
            rows.append(
                _fixed(
                    f"serving_{end}_{kind}",
                    f"{text} of measured over predicted throughput, {kind}",
                    "ratio",
                    value,
                    "fitted",
                    "rows of models left out of the fit (benchmarks/fit_serving.py)",
                )
            )
        rows.append(
            _fixed(
                f"serving_{end}_cpu",
                f"{text} of measured over predicted throughput, processors",
                "ratio",
                CPU_SPREAD[end][0],
                "guess",
                CPU_SPREAD[end][1],
            )
        )
    for row in rows:
        value, low, high = constants.get(row.name, row.prior), row.low, row.high
        if row.source == FITTED_ON:
            low, high = np.quantile([found[row.name] for found in fits], [0.1, 0.9])
            low, high = min(low, value), max(high, value)
        row = replace(row, low=float(low), high=float(high))
        lines += [
            "",
            f"[{row.name}]",
            f'label = "{row.label}"',
            f"base = {value:.6g}",
            f"low = {min(row.low, float(f'{value:.6g}')):.6g}",
            f"high = {max(row.high, float(f'{value:.6g}')):.6g}",
            f'unit = "{row.unit}"',
            f'status = "{row.status}"',
            f'source = "{row.source}"',
            f'checked = "{CHECKED}"',
        ]
        if row.unit == "fraction":
            lines.append("maximum = 1.0")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit, cross-validate, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--quick", action="store_true", help="no cross-validation; spreads from the fit itself")
    arguments = parser.parse_args()
    data = Calibration(calibration_rows())
    everything = np.ones(len(data.rows), dtype=bool)
    constants = fit(data, everything)
    fitted = data.predicted(constants)
    print("errors: median / P90 of |predicted / measured - 1|")
    print("in sample        ", errors(data, fitted))
    fits: list[dict[str, float]] = [constants]
    unseen = fitted
    if not arguments.quick:
        unseen, fits = left_out(data, "model", constants)
        print("one model left out", errors(data, unseen))
        by_gpu, _ = left_out(data, "gpu", constants)
        print("one part left out ", errors(data, by_gpu))
    constants |= spreads(data, unseen)
    if arguments.write:
        REGISTRY.write_text(registry_text(constants, fits), encoding="utf-8")
        print(f"wrote {REGISTRY}")


if __name__ == "__main__":
    main()
