"""A CUDA device for fake tensors, where PyTorch was built without CUDA and there is no driver.

`preload` must run before torch is imported: it compiles and loads a few lines of C++ that tell PyTorch that
there is one CUDA device, whose streams and events do nothing. Operators still have no kernels there, so only
fake tensors can live on it. `card` then answers the driver's questions from a tracker of those tensors.

Needs g++ and an installed torch.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import subprocess
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

SOURCE = """
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace {
constexpr c10::DeviceType CUDA = c10::DeviceType::CUDA;
struct Guard final : c10::impl::NoOpDeviceGuardImpl<CUDA> {
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return c10::Device(CUDA, 0); }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, c10::Device(CUDA, 0)); }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard);
}  // namespace

namespace at {
struct FakeHooks final : CUDAHooksInterface {
  explicit FakeHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
};
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", FakeHooks);
}  // namespace at
"""

TOTAL_BYTES = 141 * 10**9


def preload() -> None:
    """Compile the device and load it; torch must not be imported yet, which reads what is registered once."""
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("this needs torch")
    torch = Path(found.submodule_search_locations[0])
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "fake_cuda.cpp", Path(folder) / "fake_cuda.so"
        source.write_text(SOURCE, encoding="utf-8")
        command = ["g++", "-std=c++20", "-shared", "-fPIC", f"-I{torch / 'include'}", str(source)]
        command += [f"-L{torch / 'lib'}", "-ltorch_cpu", "-lc10", "-o", str(library)]
        subprocess.run(command, check=True)
        ctypes.CDLL(str(torch / "lib" / "libtorch_cpu.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))


@contextlib.contextmanager
def card(tracker: Any) -> Iterator[None]:
    """torch.cuda as on a card whose memory the tracker counts (`peak_bytes`, `reset_peak`)."""

    def peak(device: Any = None) -> int:
        return int(tracker.peak_bytes())

    def nothing(*_: Any, **__: Any) -> None:
        return None

    answers = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda *_: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_name": lambda device=None: "NVIDIA H200",
        "get_device_properties": lambda device=None: types.SimpleNamespace(uuid="", name="NVIDIA H200"),
        "mem_get_info": lambda device=None: (TOTAL_BYTES - peak(), TOTAL_BYTES),
        "max_memory_allocated": peak,
        "max_memory_reserved": peak,
        "reset_peak_memory_stats": lambda device=None: tracker.reset_peak(),
        "synchronize": nothing,
        "empty_cache": nothing,
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch(f"torch.cuda.{name}", answer))
        fake = "torch._subclasses.fake_tensor.FakeTensorMode"
        stack.enter_context(mock.patch(f"{fake}.avoid_device_init", True))
        yield
