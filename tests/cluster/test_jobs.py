"""Whole jobs on a real Slurm, by sbatch: real NATS, etcd, Dynamo, nginx, sglang-router and aiperf."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import corpus
import pytest
from bundles import ROOT, Run, compile_bundle, environment, own_folder, profile_for, simulated_sglang, submit
from busy import noise_s
from parts import Rig
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers

pytestmark = [pytest.mark.cluster, pytest.mark.parts, pytest.mark.xdist_group("cluster")]


def assert_clean_end(run: Run, leftovers: Leftovers) -> None:
    """Assert state COMPLETED, exit code 0, class success, and no leftovers on any node."""
    assert (run.job.state, run.job.exit_code) == ("COMPLETED", 0), run.explain()
    assert run.status["class"] == "success"
    assert run.job.steps == []
    assert leftovers() == []


def test_public_mocker_recipe(
    cluster: Cluster, rig: Rig, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public recipe mocker/agg.yaml runs to its end behind a real frontend, and produces tokens."""
    recipes = corpus.corpus()
    monkeypatch.chdir(ROOT)
    folder = compile_bundle(
        cluster, "public-mocker", f"{recipes}/mocker/agg.yaml", "dynamo.install=false",
        "health_check.interval_seconds=2", profile=profile_for(rig),
    )  # fmt: skip
    run = submit(cluster, folder, env=environment(rig))
    run.job.wait(timeout=240)
    assert_clean_end(run, leftovers)
    (result,) = run.results().values()
    assert result["total_output_tokens"]["avg"] > 0


def test_disaggregated_mocker_behind_nginx(cluster: Cluster, rig: Rig, leftovers: Leftovers) -> None:
    """With 2 prefill and 2 decode workers on 3 nodes and 2 frontends behind nginx, every frontend counts all workers."""
    folder = compile_bundle(
        cluster, "mocker-disagg", str(ROOT / "examples" / "mocker-disagg.yaml"), "frontend.nginx_container=nginx",
        profile=profile_for(rig),
    )  # fmt: skip
    run = submit(cluster, folder, env=environment(rig))
    run.job.wait(timeout=240)
    assert_clean_end(run, leftovers)
    ready = [e for e in run.events if e.get("event") == "ready" or e.get("state") == "ready"]
    assert {e.get("step") for e in ready} >= {"frontend_0", "frontend_1", "nginx"}, run.events
    (result,) = run.results().values()
    assert result["total_output_tokens"]["avg"] > 0


def test_services_stop_in_order_if_only_the_task_is_signalled(
    raise_cluster: Callable[..., Cluster], rig: Rig
) -> None:
    """With proctrack/cgroup, a signal reaches only the first process of a step; NATS, etcd and the client still end."""
    cluster = raise_cluster("--proctrack=auto", nodes=3)
    folder = compile_bundle(
        cluster, "cgroup", str(ROOT / "examples" / "mocker-disagg.yaml"), "frontend.nginx_container=nginx",
        profile=profile_for(rig),
    )  # fmt: skip
    run = submit(cluster, folder, env=environment(rig))
    run.job.wait(timeout=240)
    assert (run.job.state, run.job.exit_code) == ("COMPLETED", 0), run.explain()
    assert "it still ran" not in run.job.output, run.job.output


def sglang_bundle(cluster: Cluster, rig: Rig, name: str, *sets: str) -> Path:
    """The 1P+1D example with simulated workers and client, and the real router."""
    folder = own_folder(cluster, f"{name}-parts")
    packages = simulated_sglang(folder)
    model = folder / "model"
    model.mkdir()
    mounts = [f"  {packages}: {packages}", f"  {ROOT}: {ROOT}"]
    profile = "use_segment_sbatch_directive: false\ndefault_mounts:\n" + "\n".join(mounts) + "\n"
    return compile_bundle(
        cluster, name, str(ROOT / "examples" / "sglang-router-1p1d.yaml"), f"model.path={model}",
        f"model.container={rig.image}", f"environment.PYTHONPATH={packages}", "health_check.interval_seconds=1",
        "benchmark.concurrencies=[2, 4]", *sets, profile=profile,
    )  # fmt: skip


def test_sglang_behind_the_real_router(cluster: Cluster, rig: Rig, leftovers: Leftovers) -> None:
    """A prefill and a decode worker behind the real sglang-router become ready by /workers, and sa-bench runs."""
    run = submit(cluster, sglang_bundle(cluster, rig, "sglang-1p1d"), env=environment(rig))
    run.job.wait(timeout=200)
    assert_clean_end(run, leftovers)
    assert len(run.results()) == 2
    assert all(r["total_output_tokens"] > 0 for r in run.results().values())


def wait_for_stage(run: Run, stage: str, timeout: float = 90) -> None:
    """Wait until status.json shows a stage."""

    def reached() -> bool:
        return (run.directory / "status.json").exists() and run.status["stage"] == stage

    eventually(
        reached, timeout, f"stage {stage}; {run.explain() if run.job.state != 'RUNNING' else run.job.state}"
    )


@pytest.mark.parametrize(("stage", "loads"), [("health", "120"), ("benchmark", "1")])
def test_a_killed_worker_ends_the_job(
    cluster: Cluster, rig: Rig, leftovers: Leftovers, stage: str, loads: str
) -> None:
    """SIGKILL to a worker, during the wait for health or the benchmark, ends the job within 5 s and names the cause."""
    more = ("benchmark.num_prompts_mult=4000", f"environment.SRT_REHEARSAL_LOAD='{loads}'")
    run = submit(cluster, sglang_bundle(cluster, rig, f"kill-{stage}", *more), env=environment(rig))
    wait_for_stage(run, stage)
    known = run.directory / "run" / "steps" / "decode_0.id"
    eventually(known.exists, 30, "the step of decode_0")
    killed = time.monotonic()
    cluster.run(["scancel", "--signal=KILL", known.read_text().strip()])
    run.job.wait(timeout=60)
    assert time.monotonic() - killed < 5 + noise_s(), run.explain()
    assert (run.job.state, run.job.exit_code) == ("FAILED", 74), run.explain()
    assert run.status["class"] == "worker"
    assert "decode_0" in run.status["cause"]
    assert leftovers() == []
