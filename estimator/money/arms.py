"""The ways to do the task, each with its cost lines and its own parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np

from estimator.architecture import Architecture
from estimator.assumptions import Assumption, Status
from estimator.money import costs
from estimator.money.lines import Line, Parameters
from estimator.money.ownership import ArmSpec, with_series
from estimator.money.serving_costs import SERVING_LINES
from estimator.numbers import GB, SECONDS_PER_HOUR
from estimator.parameters import total_parameters
from estimator.result import ServingOption, TrainingOption
from estimator.risk import model_error
from estimator.run import DTYPE_BYTES
from estimator.scenario import Retraining, Workload
from estimator.search.market import is_listed
from estimator.search.replicas import ServingChoice

METHOD_LABELS = {"full": "Full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
RETRIEVAL = "retrieval"
STORED_BYTES_PER_PARAMETER = DTYPE_BYTES["bf16"]


def status_of(text: str) -> Status:
    """The status of a price row as that of an assumption."""
    return next(status for status in get_args(Status) if status == text)


def own(name: str, label: str, base: float, unit: str, *, status: Status, source: str, checked: str) -> Assumption:
    """A parameter of one arm that is not drawn."""
    return Assumption(
        name=name,
        label=label,
        base=base,
        low=base,
        high=base,
        unit=unit,
        status=status,
        source=source,
        checked=checked,
    )


# Self-hosted


def self_hosted_arm(
    *,
    training: TrainingOption,
    choice: ServingChoice,
    architecture: Architecture,
    workload: Workload,
    retraining: Retraining,
) -> ArmSpec:
    """Tuning on rented GPUs and serving the merged model on rented GPUs."""
    return ArmSpec(
        id=f"self:{training.method}",
        label=f"{METHOD_LABELS[training.method]}, self-hosted",
        kind="self-hosted",
        style="tuned",
        common_lines=partial(costs.tuned_lines, retraining=retraining),
        stepped_lines=SERVING_LINES["dedicated"],
        other_lines=costs.released_lines,
        parameters=(
            *_training_parameters(training, workload),
            _moved(training, choice.option),
            model_error("speed_ratio", (training.speed_low_factor, training.speed_high_factor)),
            *serving_parameters(choice, architecture),
        ),
        training=training,
        serving=choice.option,
        notes=("The adapter is merged before serving.",) if training.method != "full" else (),
    )


def served_otherwise(spec: ArmSpec, *, serving: str, bands: tuple[Assumption, ...] = ()) -> ArmSpec:
    """The same tuned model on shared replicas, or on serverless GPUs that scale to zero.

    Args:
        bands: load by band of the day, for the serverless ones.
    """
    label, note = {
        "shared": ("shared replicas", "The adapter stays unmerged; other tasks pay the rest of the replicas."),
        "scale-to-zero": ("serverless", "No replica is kept for availability; who finds none up waits for one."),
    }[serving]
    return replace(
        spec,
        id=f"{spec.id}:{serving}",
        style=f"tuned, {serving}",
        label=f"{spec.label.split(',')[0]}, {label}",
        stepped_lines=SERVING_LINES[serving],
        parameters=(*spec.parameters, *bands),
        notes=(note,),
    )


def _moved(training: TrainingOption, serving: ServingOption) -> Assumption:
    """Trained weights, in 16 bit, that leave the provider which trains at each release."""
    gb = training.trainable_parameters * STORED_BYTES_PER_PARAMETER / GB
    return own(
        "moved_gb_per_release",
        "trained weights moved to serving",
        0.0 if training.provider == serving.provider else gb,
        "GB",
        status="computed",
        source=f"trained parameters x 2 bytes, from {training.provider} to {serving.provider}",
        checked=training.price_seen.isoformat(),
    )


def with_serving(spec: ArmSpec, *, choice: ServingChoice, architecture: Architecture) -> ArmSpec:
    """The same arm on another replica type."""
    serving = serving_parameters(choice, architecture)
    if spec.training:
        serving = (_moved(spec.training, choice.option), *serving)
    names = {row.name for row in serving}
    kept = tuple(row for row in spec.parameters if row.name not in names)
    return replace(spec, parameters=kept + serving, serving=choice.option)


def on_cheapest(
    spec: ArmSpec, *, choices: Sequence[ServingChoice], architecture: Architecture, values: Mapping[str, float]
) -> ArmSpec:
    """The same arm on the replica type whose serving costs it least in the first month.

    The best card of dedicated replicas, of which a floor is kept, is not always that of serverless ones.
    """
    rows = [serving_parameters(choice, architecture) for choice in choices]
    own_rows = {row.name: row.base for row in spec.parameters}
    columns = zip(*rows, strict=True)
    each = {column[0].name: np.array([row.base for row in column]) for column in columns}
    x = with_series({**values, **own_rows, **each}, 1.0)
    usd = sum(line.quantity * line.unit_price_usd for line in spec.lines(x) if line.group == "serving")
    return with_serving(spec, choice=choices[int(np.argmin(usd))], architecture=architecture)


def ready_made_arm(*, choice: ServingChoice, architecture: Architecture) -> ArmSpec:
    """Serving the model as it is, with a few-shot prompt."""
    return ArmSpec(
        id="ready-made",
        label="Open model as it is, few-shot",
        kind="ready-made",
        style="few-shot",
        stepped_lines=SERVING_LINES["dedicated"],
        other_lines=costs.ready_made_lines,
        parameters=serving_parameters(choice, architecture),
        serving=choice.option,
    )


def with_retrieval(spec: ArmSpec) -> ArmSpec:
    """The open model as it is, with retrieval in place of examples; its replicas carry the longer prompt."""

    def lines(x: Parameters) -> list[Line]:
        return [*spec.other_lines(x), *costs.retrieval_lines(x)]

    label = spec.label.replace(spec.style, RETRIEVAL)
    return replace(spec, id=f"{spec.id}:{RETRIEVAL}", label=label, style=RETRIEVAL, other_lines=lines)


def _training_parameters(option: TrainingOption, workload: Workload) -> tuple[Assumption, ...]:
    seen = option.price_seen.isoformat()
    model = "memory and speed model at this configuration"
    offer = f"{option.provider} {option.region} {option.instance}, {option.purchase}"
    return (
        own(
            "train_tokens_per_s_per_gpu",
            "training speed",
            option.tokens_per_s_per_gpu,
            "token/s/GPU",
            status="computed",
            source=model,
            checked=seen,
        ),
        own(
            "train_machines",
            "machines of a run",
            option.machines,
            "machine",
            status="computed",
            source=offer,
            checked=seen,
        ),
        own("train_gpus", "GPUs of a run", option.gpus, "GPU", status="computed", source=model, checked=seen),
        own(
            "train_gpus_billed",
            "GPUs paid for",
            option.gpus_billed,
            "GPU",
            status="computed",
            source=f"whole instances of {offer}",
            checked=seen,
        ),
        *_hourly_price("train", "GPU for training", option, offer),
        own(
            "loaded_bytes",
            "weights read at the start",
            option.loaded_bytes,
            "bytes",
            status="computed",
            source="parameters x 2 bytes",
            checked=seen,
        ),
        own(
            "checkpoint_bytes",
            "size of a checkpoint",
            option.checkpoint_bytes,
            "bytes",
            status="computed",
            source="trained parameters x 6 bytes: weights and two moments in 16 bit",
            checked=seen,
        ),
        own(
            "processed_per_useful_token",
            "tokens processed per useful token",
            workload.processed_tokens / workload.useful_tokens,
            "ratio",
            status="computed",
            source="packing or padding waste",
            checked=seen,
        ),
        *((_interrupted(option, offer),) if option.spot_machines else ()),
    )


def _hourly_price(
    use: str, label: str, option: TrainingOption | ServingOption, offer: str
) -> tuple[Assumption, ...]:
    """The price of a GPU-hour, drawn where it is a quote with a range, and whether the tables list it."""
    seen = option.price_seen.isoformat()
    price = own(
        f"{use}_usd_per_gpu_hour",
        label,
        option.usd_per_gpu_hour,
        "USD/GPU-hour",
        status=status_of(option.price_status),
        source=f"{offer}: {option.price_source}",
        checked=seen,
    )
    low, high = option.usd_per_gpu_hour_low, option.usd_per_gpu_hour_high
    listed = own(
        f"{use}_price_listed",
        f"{label}: price of the tables (1) or quoted, then the same in all months (0)",
        float(is_listed(option.provider)),
        "0 or 1",
        status="computed",
        source=offer,
        checked=seen,
    )
    return (price if low == high else replace(price, low=low, high=high, shape="lognormal")), listed


def _interrupted(option: TrainingOption, offer: str) -> Assumption:
    return own(
        "train_spot_machines",
        "machines that may be interrupted",
        option.spot_machines,
        "machine",
        status="computed",
        source=offer,
        checked=option.price_seen.isoformat(),
    )


def serving_parameters(choice: ServingChoice, architecture: Architecture) -> tuple[Assumption, ...]:
    """Parameters of a replica type that the serving lines read."""
    option = choice.option
    seen = option.price_seen.isoformat()
    offer = f"{option.provider} {option.region} {option.instance}"
    model = "serving model at this replica type"
    stored = total_parameters(architecture=architecture) * STORED_BYTES_PER_PARAMETER / GB
    return (
        own(
            "requests_per_s_per_replica",
            "requests a replica finishes at full load",
            choice.planned_requests_per_s,
            "request/s",
            status="computed",
            source=model,
            checked=seen,
        ),
        model_error("serving_speed_ratio", (choice.low_factor, choice.high_factor)),
        own(
            "serving_gpus_per_replica",
            "GPUs of a replica",
            option.gpus_per_replica,
            "GPU",
            status="computed",
            source=model,
            checked=seen,
        ),
        own(
            "serving_gpus_per_instance",
            "GPUs billed together",
            choice.gpus_per_instance,
            "GPU",
            status=status_of(option.price_status),
            source=offer,
            checked=seen,
        ),
        *_hourly_price("serving", "GPU for serving", option, offer),
        own(
            "serving_start_up_hours",
            "start of a replica",
            option.start_up_s / SECONDS_PER_HOUR,
            "hour",
            status="computed",
            source="replica_start_s and its weights read at storage_read_bytes_per_s",
            checked=seen,
        ),
        own(
            "stored_gb_per_version",
            "size of one stored version",
            stored,
            "GB",
            status="computed",
            source="parameters x 2 bytes",
            checked=seen,
        ),
    )
