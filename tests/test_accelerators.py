"""The catalogue of accelerators: published figures by hand, names, integrity of the rows, and what errors say."""

import csv
import io
from importlib import resources

import numpy as np
import pytest

from estimator.accelerator_rows import COLUMNS, read_accelerators
from estimator.accelerators import accelerators, resolve_accelerator, stack_accelerators
from estimator.errors import InputError, UnknownNameError

TERA = 1e12

MEASURED = {
    "a100-40gb-sxm",
    "a100-80gb-pcie",
    "a100-80gb-sxm",
    "a10g",
    "b200-power-limited",
    "b200-sxm",
    "b300-sxm",
    "gaudi2",
    "gaudi3",
    "gb200",
    "gb300",
    "h100-80gb-sxm",
    "h100-96gb-500w",
    "h200-sxm",
    "l40s",
    "mi300x",
    "rtx-3090",
    "rtx-4090",
    "rtx-6000-ada",
    "rtx-a5000",
    "rtx-pro-6000",
}


def catalogue_text(*, row: str = "", **cells: str) -> str:
    """The shipped file, with some cells of one row replaced."""
    text = (resources.files("estimator") / "data" / "accelerators.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    for each in rows:
        if each["id"] == row:
            each.update(cells)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "fp16", "bf16", "fp8", "int8", "fp4"),
    [
        ("t4", 65, 0, 0, 130, 0),
        ("v100-16gb-sxm", 125, 0, 0, 0, 0),
        ("v100-16gb-pcie", 112, 0, 0, 0, 0),
        ("a100-80gb-sxm", 312, 312, 0, 624, 0),
        ("a10", 125, 125, 0, 250, 0),
        ("a10g", 70, 70, 0, 140, 0),
        ("rtx-3090", 71, 71, 0, 284, 0),
        ("rtx-a6000", 154.8, 154.8, 0, 309.7, 0),
        ("l4", 121, 121, 242, 242, 0),
        ("l40", 181, 181, 362, 362, 0),
        ("l40s", 362, 362, 733, 733, 0),
        ("rtx-4090", 165.2, 165.2, 330.3, 660.6, 0),
        ("rtx-5090", 209.5, 209.5, 419, 838, 1676),
        ("h100-80gb-sxm", 989.4, 989.4, 1978.9, 1978.9, 0),
        ("h100-80gb-pcie", 756, 756, 1513, 1513, 0),
        ("h20", 148, 148, 296, 296, 0),
        ("b200-sxm", 2250, 2250, 4500, 4500, 9000),
        ("gb200", 2500, 2500, 5000, 5000, 10000),
        ("mi250x", 191.5, 191.5, 0, 191.5, 0),
        ("mi300x", 1307.4, 1307.4, 2614.9, 2614.9, 0),
        ("gaudi3", 459, 1677, 1677, 0, 0),
        ("tpu-v5e", 0, 197, 0, 393, 0),
        ("trainium2", 667, 667, 1299, 0, 0),
    ],
)
def test_dense_peaks_are_those_of_the_data_sheet(
    name: str, fp16: float, bf16: float, fp8: float, int8: float, fp4: float
) -> None:
    card = accelerators()[name].accelerator
    peaks = (
        card.fp16_flop_per_s,
        card.bf16_flop_per_s,
        card.fp8_flop_per_s,
        card.int8_flop_per_s,
        card.fp4_flop_per_s,
    )
    assert peaks == pytest.approx([peak * TERA for peak in (fp16, bf16, fp8, int8, fp4)])


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        ("h100-80gb-sxm", 81559),
        ("h200-sxm", 143771),
        ("b200-sxm", 183359),
        ("a100-80gb-sxm", 81920),
        ("rtx-4090", 24564),
        ("l40s", 46068),
        ("a10g", 23028),
    ],
)
def test_memory_is_what_the_driver_prints_not_what_is_sold(name: str, mib: int) -> None:
    record = accelerators()[name]
    assert record.accelerator.memory_bytes == pytest.approx(mib * 2**20, rel=1e-5)


def test_geforce_runs_at_half_rate_and_the_workstation_part_of_the_same_chip_does_not() -> None:
    for record in accelerators().values():
        card = record.accelerator
        if record.form == "consumer" and record.family != "turing":
            assert card.bf16_flop_per_s == pytest.approx(2 * card.fp32_flop_per_s, rel=0.01), record.id
            assert card.int8_flop_per_s == pytest.approx(4 * card.bf16_flop_per_s, rel=0.01), record.id
    workstation = accelerators()["rtx-6000-ada"].accelerator
    assert workstation.bf16_flop_per_s == pytest.approx(4 * workstation.fp32_flop_per_s, rel=0.01)


def test_links_are_one_direction_per_accelerator() -> None:
    link = {name: record.accelerator.link_bytes_per_s for name, record in accelerators().items()}
    assert (link["a100-80gb-sxm"], link["h100-80gb-sxm"], link["b200-sxm"]) == (300e9, 450e9, 900e9)
    assert (link["t4"], link["rtx-4090"], link["rtx-5090"]) == (15.75e9, 31.5e9, 63e9)
    assert link["mi300x"] == 7 * 64e9
    assert accelerators()["h100-80gb-sxm"].accelerator.node_link_bytes_per_s == 400e9 / 8


def test_every_measured_card_is_there_under_its_own_name() -> None:
    assert set(accelerators()) >= MEASURED
    assert len(accelerators()) >= 55


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("h100", "h100-80gb-sxm"),
        ("H100 SXM", "h100-80gb-sxm"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb-sxm"),
        ("NVIDIA H100 NVL", "h100-94gb-nvl"),
        ("a100", "a100-80gb-sxm"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb-sxm"),
        ("NVIDIA A100 80GB PCIe", "a100-80gb-pcie"),
        ("4090", "rtx-4090"),
        ("rtx4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 3080", "rtx-3080-10gb"),
        ("Tesla V100-SXM2-16GB", "v100-16gb-sxm"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-server"),
        ("AMD Instinct MI300X", "mi300x"),
        ("TPU_v5e", "tpu-v5e"),
        ("  B200 ", "b200-sxm"),
    ],
)
def test_people_and_drivers_may_write_a_name_in_their_own_way(text: str, name: str) -> None:
    assert resolve_accelerator(text).id == name


def test_an_unknown_name_gets_the_closest_ones_and_the_command_that_lists_all() -> None:
    with pytest.raises(UnknownNameError, match="`ftcost gpus` lists them") as caught:
        resolve_accelerator("rtx-4095")
    assert "rtx-4090" in caught.value.close_matches
    with pytest.raises(UnknownNameError):
        resolve_accelerator("nvidia")


def test_a_stack_keeps_order_names_and_single_values() -> None:
    records = [accelerators()[name] for name in ("t4", "gb200", "mi300x")]
    stack = stack_accelerators(records)
    assert stack.id == ("t4", "gb200", "mi300x")
    assert stack.family == ("turing", "blackwell", "cdna3")
    for position, record in enumerate(records):
        for name in ("memory_bytes", "bf16_flop_per_s", "gpus_per_node", "power_watt"):
            column = np.asarray(getattr(stack, name))
            assert column.shape == (3, 1, 1)
            assert column[position, 0, 0] == getattr(record.accelerator, name)
    assert np.shape(stack_accelerators(records, axes=1).memory_bytes) == (3,)
    with pytest.raises(InputError, match="cannot stack 0 accelerators"):
        stack_accelerators([])


def test_the_status_of_a_record_is_its_weakest_figure() -> None:
    record = accelerators()["b200-power-limited"]
    assert (record.peak_status, record.memory_status, record.status) == ("guess", "measured", "guess")
    assert accelerators()["a100-80gb-sxm"].status == "published"


@pytest.mark.parametrize(
    ("row", "cells", "message"),
    [
        ("h100-80gb-sxm", {"bf16_tflop_per_s": "1979"}, "16-bit peak 1979 is more than half of the 8-bit peak"),
        ("h100-80gb-sxm", {"fp8_tflop_per_s": "3958"}, "fp8_tflop_per_s = 3958 is more than 2.1 times"),
        ("a100-80gb-sxm", {"int8_tflop_per_s": "1248"}, "int8_tflop_per_s = 1248 .* sparsity"),
        ("b200-sxm", {"fp4_tflop_per_s": "18000"}, "fp4_tflop_per_s = 18000 is more than 3.1 times the fp8 peak"),
        ("rtx-3090", {"fp16_tflop_per_s": "142"}, "half rate with fp32 accumulation"),
        ("l4", {"memory_gib": "23034"}, r"line \d+ \(l4\): memory_gib = 23034 is outside 4 to 1000"),
        ("l4", {"memory_gb_per_s": "0.3 TB/s"}, "memory_gb_per_s = '0.3 TB/s' is no number"),
        ("l4", {"power_watt": "nan"}, "power_watt = nan is outside"),
        ("l4", {"fp16_tflop_per_s": "0", "bf16_tflop_per_s": "0"}, "both 0"),
        ("l4", {"family": "lovelace"}, "unknown family 'lovelace'"),
        ("l4", {"peak_status": "sure"}, "unknown peak status 'sure' in .*Closest: measured"),
        ("l4", {"source": " "}, "source is empty"),
        ("l4", {"checked": "2026-13-01"}, "'2026-13-01' is no date"),
        ("l4", {"id": "L 4"}, "write small letters and digits"),
        ("l4", {"id": "l40"}, "the id l40 stands twice"),
        ("l40", {"aliases": "NVIDIA L4"}, "'NVIDIA L4' already means l4"),
    ],
)
def test_a_wrong_row_is_refused_with_file_row_key_and_remedy(
    row: str, cells: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_accelerators(catalogue_text(row=row, **cells), file="my.csv")
    assert str(caught.value).startswith(("my.csv, line", "unknown"))
    assert "my.csv" in str(caught.value)


def test_wrong_columns_and_ragged_rows_are_refused() -> None:
    text = catalogue_text()
    with pytest.raises(UnknownNameError, match=r"unknown column 'power_wat' in my\.csv\. Closest: power_watt"):
        read_accelerators(text.replace("power_watt", "power_wat", 1), file="my.csv")
    with pytest.raises(InputError, match=r"my\.csv lacks the column 'power_watt'"):
        read_accelerators(text.replace(",power_watt", "", 1), file="my.csv")
    with pytest.raises(InputError, match="quote the cells that hold commas"):
        read_accelerators(text.rstrip() + ",one more\r\n", file="my.csv")
