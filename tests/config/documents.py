"""A folder with a recipe and an optional profile, the result of loading them, and sample recipes.

folder.job(SMALL, "resources.agg_workers=2", profile="default_account: x").recipe
"""

from __future__ import annotations

from pathlib import Path

import pytest

from srtplan.config import Job, Loaded, load
from srtplan.diagnostics import InputError, Problem

SMALL = """\
name: small
model: {path: /models/m, container: /images/i.sqsh, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
backend: {type: mocker}
"""
RICH = """\
name: rich
model:
  path: /models/r1
  container: nvcr.io/nvidia/sglang:1.0
  precision: fp8
  stage_dir: /raid/models
resources:
  gpu_type: gb200
  gpus_per_node: 4
  prefill_nodes: 1
  prefill_workers: 2
  decode_nodes: 2
  decode_workers: 1
  gpus_per_decode: 8
  spread_workers: false
slurm:
  account: acct
  partition: part
  time_limit: "02:00:00"
backend:
  type: sglang
  prefill_environment: {A: "1", B: x}
  decode_environment: {A: "2"}
  prefill_extra_args: [--x, "1"]
  kv_events_config: {prefill: true, decode: {topic: t}}
  sglang_config:
    prefill: {tensor-parallel-size: 2, trust-remote-code: true, mem-fraction-static: 0.85}
    decode: {tensor-parallel-size: 8, list: [1, 2], nested: {k: null}}
frontend:
  type: dynamo
  enable_multiple_frontends: true
  num_additional_frontends: 2
  nginx_container: nginx:1.27.4
  nginx_session_affinity: true
  args: {router-mode: kv, router-temperature: 0.5}
  env: {C: "3"}
  dedicated_node: true
dynamo:
  hash: 0123456789abcdef0123456789abcdef01234567
  cargo_patches: ['one = "1"']
  request_plane: nats
  event_plane: zmq
benchmark:
  type: sa-bench
  isl: 1024
  osl: 128
  concurrencies: [4, 8]
  req_rate: inf
  client_placement: last_decode
  colocate_with_frontend: false
  retries: 2
  max_failed_share: 0.5
profiling:
  type: torch
  prefill: {start_step: 1, stop_step: 2}
  decode: {start_step: 3, stop_step: 9}
health_check: {max_attempts: 20, interval_seconds: 5}
infra: {etcd_nats_dedicated_node: true, nats_max_payload_mb: 32}
environment: {D: "{node}"}
container_mounts: {/cache: /cache}
extra_mount: ["/data:/data:ro"]
srun_options: {cpu-bind: none}
sbatch_directives: {mem: "0", exclusive: ""}
setup_script: fix.sh
"""
"""A recipe with every section."""

RICH2 = """\
schema: 2
name: rich
model:
  path: /models/r1
  container: nvcr.io/nvidia/sglang:1.0
  precision: fp8
  stage_dir: /raid/models
resources: {gpu_type: gb200, gpus_per_node: 4, spread_workers: false}
slurm: {account: acct, partition: part, time_limit: "02:00:00"}
engine: {type: sglang}
roles:
  prefill:
    nodes: 1
    workers: 2
    env: {A: "1", B: x}
    args: {tensor-parallel-size: 2, trust-remote-code: true, mem-fraction-static: 0.85}
    extra_args: [--x, "1"]
    kv_events: true
  decode:
    nodes: 2
    workers: 1
    gpus: 8
    env: {A: "2"}
    args: {tensor-parallel-size: 8, list: [1, 2], nested: {k: null}}
    kv_events: {topic: t}
frontend:
  type: dynamo
  enable_multiple_frontends: true
  num_additional_frontends: 2
  nginx_container: nginx:1.27.4
  nginx_session_affinity: true
  args: {router-mode: kv, router-temperature: 0.5}
  env: {C: "3"}
  placement: {node: dedicated}
dynamo:
  source: {git: https://github.com/ai-dynamo/dynamo.git, rev: 0123456789abcdef0123456789abcdef01234567}
  patches: ['one = "1"']
  request_plane: nats
  event_plane: zmq
benchmark:
  type: sa-bench
  isl: 1024
  osl: 128
  concurrencies: [4, 8]
  req_rate: inf
  placement: {node: last_decode}
  colocate_with_frontend: false
  retries: 2
  max_failed_share: 0.5
profiling:
  type: torch
  prefill: {start_step: 1, stop_step: 2}
  decode: {start_step: 3, stop_step: 9}
health_check: {max_attempts: 20, interval_seconds: 5}
services:
  - {name: nats, type: nats, placement: {node: dedicated}, options: {max_payload_mb: 32}}
  - {name: etcd, type: etcd, placement: {node: dedicated}}
environment: {D: "{node}"}
container_mounts: {/cache: /cache}
extra_mount: ["/data:/data:ro"]
srun_options: {cpu-bind: none}
sbatch_directives: {mem: "0", exclusive: ""}
setup_script: fix.sh
"""
"""The same recipe in the layout of srtctl 2.x."""


class Folder:
    """A folder with a recipe and an optional profile."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, name: str = "recipe.yaml") -> Path:
        """Write a file of the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
        return path

    def load(self, text: str, *sets: str, selector: str = "", profile: str = "", **environ: str) -> Loaded:
        """Return the jobs of a text, with a profile if one is given."""
        self.write(text)
        if profile:
            self.write(profile, "srtslurm.yaml")
        return load(f"recipe.yaml{selector}", sets=sets, cwd=self.path, environ=environ)

    def job(self, text: str, *sets: str, selector: str = "", profile: str = "", **environ: str) -> Job:
        """Return the only job of a text."""
        (only,) = self.load(text, *sets, selector=selector, profile=profile, **environ).jobs
        return only

    def problems(
        self, text: str, *sets: str, selector: str = "", profile: str = "", **environ: str
    ) -> list[Problem]:
        """Return the problems of a text that cannot be loaded."""
        with pytest.raises(InputError) as caught:
            self.load(text, *sets, selector=selector, profile=profile, **environ)
        return list(caught.value.report)
