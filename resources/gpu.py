"""The GPU resource: finds devices, locks them, trains models on them, and runs language models on them.

The same calls work on a CPU and on CUDA devices. Steps that need a device use Dagster's pool "gpu". A slot of a pool is
not a lock, because a killed run may leave its process behind. So a process also holds a file lock per device, which
the kernel releases when the process ends, also by a kill.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from nemotron_assets.recipe.addresses import Address, redacted
from resources.home import cache_dir

if TYPE_CHECKING:
    from filelock import FileLock

    from nemotron_assets.recipe.lake import Machines
    from nemotron_assets.recipe.llm import Llm
    from resources.endpoints import EndpointSettings
    from resources.engine_timing import TimedEngine
    from resources.engines import EngineSettings, OpenAiEngine, VllmEngine
    from resources.server import Place, Server

POOL = "gpu"

Metrics = Callable[[list[dict[str, Any]]], None]

_METRICS_EVERY_S = 2.0  # rows of metrics are passed on together, because every call is a commit


class GpuError(RuntimeError):
    """A device, a lock or a training failed. The message says which one and what to do."""


@dataclass(frozen=True)
class Device:
    """One device. `precisions` are the number formats that it computes natively: fp32, bf16, fp8."""

    kind: Literal["cpu", "cuda"]
    index: int
    name: str
    memory_bytes: int
    precisions: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name of the device in torch: "cuda:0" or "cpu"."""
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


class Gpu(dg.ConfigurableResource):
    """Training and inference on the devices of this machine. `Gpu.from_recipe` sets the fields from the recipe."""

    backend: Literal["vllm", "openai"] = Field(
        default="vllm", description="vllm: vLLM in this process; openai: an OpenAI-compatible endpoint"
    )
    base_url: Address | None = Field(default=None, description="URL of the endpoint, for the openai backend")
    api_key_env: str | None = Field(
        default=None, description="name of the environment variable with the endpoint's API key; None for no key"
    )
    endpoints: list[dict[str, Any]] = Field(
        default_factory=list, description="several endpoints of one model, as in the recipe's llm.endpoints"
    )
    structured_outputs: str = Field(default="vllm", description="how a request gives the endpoint an output grammar")
    concurrency: int = Field(default=16, ge=1, description="maximum number of open requests to the endpoint")
    timeout_s: float = Field(default=300, gt=0, description="maximum wait for one answer of the endpoint, in seconds")
    retries: int = Field(default=5, ge=0, description="retries of one request to the endpoint after it failed")
    backoff_s: float = Field(default=1.0, ge=0, description="wait before the first retry, in seconds")
    pause_s: float = Field(default=60, ge=0, description="longest pause of an endpoint that fails, in seconds")
    dtype: str = Field(
        default="auto", description="precision of inference; auto: the best one that the device computes natively"
    )
    max_model_len: int = Field(default=2048, ge=256, description="context window, in tokens")
    max_num_seqs: int = Field(default=16, ge=1, description="maximum number of sequences that are decoded together")
    kv_cache_gb: float = Field(default=0.5, gt=0, description="memory for the KV cache on a CPU, in GB")
    gpu_memory_share: float = Field(default=0.9, gt=0, le=1, description="share of the GPU memory that vLLM may use")
    cpu_threads: int = Field(default=0, ge=0, description="threads of inference on a CPU; 0: one per usable core")
    processes: int = Field(default=0, ge=0, description="number of training processes; 0: one per device")
    nodes: int = Field(default=1, ge=1, description="number of machines that train together; this is the first one")
    rendezvous: str | None = Field(
        default=None, description="host:port of this machine at which the other machines join a training"
    )
    join_s: float = Field(default=1_800, gt=0, description="maximum wait for the other machines, in seconds")
    lock_timeout_s: float = Field(default=86_400, gt=0, description="maximum wait for a device, in seconds")

    @classmethod
    def from_recipe(cls, llm: Llm, machines: Machines | None = None) -> Gpu:
        """The resource with the values of the recipe sections `llm` and `machines`."""
        values = llm.model_dump(exclude={"engine", "model", "tokenizer"})
        return cls(backend=llm.engine, **values, **(machines.model_dump() if machines else {}))

    def devices(self) -> list[Device]:
        """The CUDA devices that this process may use, or the CPU if there are none."""
        import torch

        if torch.cuda.is_available():
            return [_cuda_device(torch, index) for index in range(torch.cuda.device_count())]
        return [_cpu_device(torch)]

    @contextlib.contextmanager
    def lock(self, log: Callable[[str], None] = lambda message: None) -> Iterator[list[Device]]:
        """Hold all devices. While another process holds one, wait and log which process it is. A process may enter the
        lock again while it holds it.

        Raises `GpuError` when a device is not free within `lock_timeout_s`.
        """
        devices = self.devices()
        with contextlib.ExitStack() as held:
            for device in devices:
                held.enter_context(_hold(device, self.lock_timeout_s, log))
            yield devices

    def engine(
        self, weights: Path | str, name: str = "", sha256: str = "", log: Callable[[str], None] | None = None
    ) -> VllmEngine | OpenAiEngine:
        """The language model in the folder `weights`. For an endpoint it is the model `name`, and the folder holds its
        tokenizer, to count tokens. A process keeps one engine and reuses it; the engine is loaded on first use.

        `sha256` is the hash of the weights. Equal weights in another folder, such as those of another table of models,
        need no other engine. `log` is told which endpoints fail and which come back.
        """
        from resources import engines

        folder = Path(weights)
        if self.backend == "openai":
            patience = engines.Patience(self.timeout_s, self.retries, self.backoff_s, self.pause_s)
            said = {"log": log} if log else {}
            return engines.OpenAiEngine(folder, name, self._endpoints(name), patience, **said)
        settings = self._settings()
        wanted = (sha256 or str(folder), name, settings)
        if _KEPT.get("wanted") != wanted:
            self.release()
            _KEPT.update(wanted=wanted, engine=engines.VllmEngine(folder, name or folder.name, settings))
        return _KEPT["engine"]

    @contextlib.contextmanager
    def serve(
        self,
        weights: Path,
        names: Sequence[str],
        options: Mapping[str, Any],
        *,
        at: Place,
        context: int | None = None,
        log: Callable[[str], None] = lambda message: None,
    ) -> Iterator[Server]:
        """vLLM's OpenAI-compatible server of the model in the folder `weights`, until the context ends.

        The server runs in a process of its own, which holds the devices with this process and ends with it. Clients may
        name the model by any of `names`. `options` are further arguments of `vllm serve` by name. `context` is the
        length of a prompt and its answer in tokens, by default `max_model_len`. Raises `ServerError` with the end of
        the server's output when it does not start.
        """
        from resources.server import running

        with self.lock(log):
            self.release()
            settings = self._settings()
            settings = dataclasses.replace(settings, max_model_len=context or settings.max_model_len)
            with running(weights, names, settings, options, at, log) as server:
                yield server

    def timed_engine(self, folder: Path, name: str, context: int, sequences: int) -> TimedEngine:
        """vLLM with random weights for the configuration in a folder, to measure its speed with up to `sequences`
        requests of up to `context` tokens. The engine that this process keeps is closed, so that none shares the
        device. Hold `lock()` meanwhile, and close the engine."""
        from resources.engine_timing import TimedEngine

        self.release()
        settings = dataclasses.replace(self._settings(), max_model_len=context, max_num_seqs=sequences)
        return TimedEngine(folder, name, settings)

    def _endpoints(self, model: str) -> list[EndpointSettings]:
        """The endpoints of a model. What an endpoint does not say of itself is that of `llm`."""
        from resources.endpoints import EndpointSettings

        def settings(one: Mapping[str, Any]) -> EndpointSettings:
            url, fields = one["base_url"], ("api_key_env", "structured_outputs", "concurrency")
            rest = {name: getattr(self, name) if one.get(name) is None else one[name] for name in fields}
            name = one.get("name") or url
            if one.get("api_key_env"):
                rest["key_place"] = f"api_key_env of {name} in llm.endpoints"
            return EndpointSettings(name, url, one.get("models", {}).get(model, model), **rest)

        return [settings(one) for one in self.endpoints or [{"base_url": self.base_url or ""}]]

    def _settings(self) -> EngineSettings:
        from resources.engines import EngineSettings

        device = self.devices()[0]
        return EngineSettings(
            device=device.kind,
            dtype=_dtype(self.dtype, device),
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            kv_cache_bytes=int(self.kv_cache_gb * 1e9),
            gpu_memory_share=self.gpu_memory_share,
            threads=self.cpu_threads or len(os.sched_getaffinity(0)),
        )

    def release(self) -> None:
        """Close the engine that this process keeps, if there is one, to free its memory."""
        if _KEPT:
            _KEPT["engine"].close()
            _KEPT.clear()

    def train(self, entry: str, config: dict[str, Any], on_metrics: Metrics, log=lambda message: None) -> dict:
        """Run the training function `entry` ("module:function") and return its result, which must be JSON-able.

        The function is called as `function(config, emit)`, where `emit(rows)` reports metrics, a list of dicts.
        `on_metrics` gets these rows in batches: about every two seconds while rows come, and the rest when the function
        ends or fails. With one device the function runs in this process. With several devices, or several machines, it
        runs in torchrun workers, which die with this process; the metrics and the result of rank 0 count. The devices
        are locked meanwhile. Raises `torchrun.TrainingFailed` with the end of the workers' output when they fail.
        """
        from resources import torchrun
        from resources.train_worker import resolve

        with self.lock(log) as devices:
            if devices[0].kind == "cuda":
                self.release()
            processes = self.processes or len(devices)
            machines = torchrun.Machines(self.nodes, self.rendezvous or "", self.join_s)
            everywhere = f" on each of {machines.number} machines" if machines.number > 1 else ""
            log(f"training on {processes} x {devices[0].name}{everywhere}")
            metrics = _Buffer(on_metrics)
            try:
                if processes == machines.number == 1:
                    return resolve(entry)(config, metrics.add) or {}
                return torchrun.train(entry, config, metrics.add, processes, machines)
            finally:
                metrics.flush()


# A process keeps one engine: two would not fit into memory, and starting one takes about 15 s.
_KEPT: dict[str, Any] = {}
_LOCKS: dict[str, FileLock] = {}


@contextlib.contextmanager
def _hold(device: Device, timeout_s: float, log: Callable[[str], None]) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder = cache_dir("locks")
    path = str(folder / f"{device.label.replace(':', '-')}.lock")
    lock = _LOCKS.setdefault(path, FileLock(path, thread_local=False))
    holder = Path(path).with_suffix(".holder")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        user = holder.read_text() if holder.is_file() else "another process"
        log(f"{device.label} is used by {user}; waiting for it")
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout:
            raise GpuError(
                f"{device.label} is still used by {user} after {timeout_s:.0f} s (lock_timeout_s); end that process or "
                "run again later"
            ) from None
    try:
        holder.write_text(
            f"process {os.getpid()} ({redacted(' '.join(sys.argv))[:200]}), since {time.strftime('%F %T')}"
        )
        yield
    finally:
        lock.release()


def _cuda_device(torch: Any, index: int) -> Device:
    facts = torch.cuda.get_device_properties(index)
    level = (facts.major, facts.minor)
    precisions = ["fp32"] + ["bf16"] * (level >= (8, 0)) + ["fp8"] * (level >= (8, 9))
    return Device("cuda", index, facts.name, facts.total_memory, tuple(precisions))


def _cpu_device(torch: Any) -> Device:
    import psutil

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
    bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Device("cpu", 0, name, psutil.virtual_memory().total, ("fp32", "bf16") if bf16 else ("fp32",))


def _dtype(wanted: str, device: Device) -> str:
    if wanted != "auto":
        return wanted
    return "bfloat16" if "bf16" in device.precisions else "float16" if device.kind == "cuda" else "float32"


class _Buffer:
    """Collects rows of metrics and passes them on every few seconds."""

    def __init__(self, on_metrics: Metrics) -> None:
        self._on_metrics, self._rows, self._last = on_metrics, [], time.monotonic()

    def add(self, rows: list[dict[str, Any]]) -> None:
        self._rows.extend(rows)
        if time.monotonic() - self._last >= _METRICS_EVERY_S:
            self.flush()

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        self._last = time.monotonic()
        if rows:
            self._on_metrics(rows)
