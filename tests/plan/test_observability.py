"""What `observability` puts into the environment and into TensorRT-LLM's file, and that the recipe wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from srtplan import pipeline
from srtplan.ir.plan import Plan
from srtplan.ir.shell import notation

RECIPE = """\
name: watched
model: {path: /models/m, container: /images/i.sqsh, precision: fp8}
resources:
  {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
backend:
  type: trtllm
  trtllm_config:
    prefill: {tensor_parallel_size: 8}
    decode: {tensor_parallel_size: 8, return_perf_metrics: false}
  decode_environment: {DYN_LOG: warn}
frontend: {type: dynamo, enable_multiple_frontends: false, env: {DYN_REQUEST_TRACE: "0"}}
"""
ON = "observability: {enabled: true, scrape_metrics: false, build_dashboard: false}\n"
OTEL = "observability: {enable_otel: true, otel_endpoint: 'http://otel:4317'}\n"


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Plan]:
    """The plan of the recipe and more lines."""

    def plan(more: str = "", *sets: str) -> Plan:
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE + more)
        (only,) = pipeline.compile_recipe(str(path), sets=sets)
        return only.plan

    return plan


def env(plan: Plan, name: str) -> dict[str, str]:
    """The environment of a step."""
    (step,) = (s for s in plan.steps if s.name == name)
    return {e.name: notation(e.value) for e in step.env}


def engine_file(plan: Plan, mode: str) -> dict[str, object]:
    """TensorRT-LLM's file of a mode."""
    (file,) = (f for f in plan.files if f.path == f"trtllm_config_{mode}.yaml")
    loaded: dict[str, object] = yaml.safe_load(notation(file.text))
    return loaded


def test_workers_and_frontends_log_their_spans(planned: Callable[..., Plan]) -> None:
    """The variables are srtctl's; only frontends write a trace of requests."""
    plan = planned(ON)
    spans = {"DYN_LOG": "debug", "DYN_LOGGING_JSONL": "true", "DYN_LOGGING_SPAN_EVENTS": "true"}
    prefill, front = env(plan, "prefill_0"), env(plan, "frontend_0")
    assert spans.items() <= prefill.items()
    assert spans.items() <= front.items()
    assert front["DYN_REQUEST_TRACE_FILE_PATH"] == "/logs/dynamo-request-trace"
    assert "DYN_REQUEST_TRACE_FILE_PATH" not in prefill
    assert "DYN_LOGGING_JSONL" not in env(plan, "nats")


def test_the_recipe_wins(planned: Callable[..., Plan]) -> None:
    """A variable of a role or of the frontend, and an option of the engine, stay as they are written."""
    plan = planned(ON)
    assert env(plan, "decode_0")["DYN_LOG"] == "warn"
    assert env(plan, "frontend_0")["DYN_REQUEST_TRACE"] == "0"
    assert engine_file(plan, "decode")["return_perf_metrics"] is False


def test_tensorrt_llm_counts_its_iterations(planned: Callable[..., Plan]) -> None:
    """Statistics are enabled in each engine's file and events by a flag, unless disabled."""
    plan = planned(ON)
    assert engine_file(plan, "prefill") == {
        "tensor_parallel_size": 8, "enable_iter_perf_stats": True, "return_perf_metrics": True,
    }  # fmt: skip
    flag = "--publish-events-and-metrics"
    assert all(flag in map(notation, s.argv) for s in plan.steps if s.stage == "worker")
    off = planned(ON, "backend.publish_events_and_metrics=false")
    assert not any(flag in map(notation, s.argv) for s in off.steps if s.stage == "worker")


def test_spans_are_sent_under_the_name_of_their_component(planned: Callable[..., Plan]) -> None:
    """OTLP needs a service name each, and does not raise the log level."""
    plan = planned(OTEL)
    for step, component in (("prefill_0", "prefill"), ("decode_0", "decode"), ("frontend_0", "frontend")):
        got = env(plan, step)
        assert got["OTEL_SERVICE_NAME"] == f"dynamo-{component}"
        assert got["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "http://otel:4317"
        assert (got["OTEL_EXPORT_ENABLED"], got["DYN_LOGGING_JSONL"]) == ("1", "1")
        assert got.get("DYN_LOG") != "debug"


def test_without_it_nothing_is_added(planned: Callable[..., Plan]) -> None:
    """No variable of traces, no statistics."""
    plan = planned()
    assert not any(
        n.startswith(("OTEL_", "DYN_LOGGING", "DYN_REQUEST_TRACE_"))
        for s in plan.steps
        for n in env(plan, s.name)
    )
    assert engine_file(plan, "prefill") == {"tensor_parallel_size": 8}
