"""Payloads that do harm if they are executed, and recipes with a string in every place that accepts one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
Place = tuple[str | int, ...]
"""Keys and indices from the top to a string. A last ``KEY`` means the key at the path before it."""
KEY = "<key>"

PAYLOADS = {
    "command": "$(touch CANARY)",
    "backtick": "`touch CANARY`",
    "quotes": "'; touch CANARY; echo \"",
    "double": '"; touch CANARY; "',
    "lines": "x\ntouch CANARY\n",
    "sbatch": "x\n#SBATCH --wrap='touch CANARY'",
    "variable": "${IP[$(touch CANARY)]}",
    "reference": "${RUN_DIR}$${IP[0]}",
    "arithmetic": "a[$(touch CANARY)]",
    "jinja": "{{ ''.__class__ }}{% include 'job.sh.j2' %}{# #}",
    "format": "{0.__class__}{node.__init__}%s%n",
    "yaml": "x: &a [*a, !!python/object/apply:os.system ['touch CANARY']]",
    "awk": '"); system("touch CANARY"); print("',
    "nginx": "x; } lua { os.execute('touch CANARY') } #",
    "path": "/../../../../CANARY",
    "dashes": "--output=CANARY -rf",
    "glob": "* ? [a-z] ~ {a,b} !x ^y",
    "table": "a\tb\rc",
    "words": " two  words ",
    "wide": "\u202eé🙂\\x00\\",
    "here": "x\nEOF\ntouch CANARY\n",
}  # fmt: skip


def sglang() -> Document:
    """Return SGLang behind Dynamo and nginx, with all settings of the job as a whole."""
    return {
        "name": "n",
        "slurm": {"account": "me", "partition": "p", "time_limit": "01:00:00"},
        "model": {"path": "/models/m", "container": "/images/i.sqsh", "precision": "fp8", "stage_dir": "/raid/s"},
        "resources": {"gpu_type": "h100", "gpus_per_node": 8, "prefill_nodes": 1, "prefill_workers": 1,
                      "decode_nodes": 1, "decode_workers": 1},
        "backend": {
            "type": "sglang", "prefill_environment": {"PA": "v"}, "decode_environment": {"DA": "v"},
            "prefill_extra_args": ["--more", "v"],
            "sglang_config": {"prefill": {"served-model-name": "m", "some-flag": "v", "lists": ["a", "b"]},
                              "decode": {"served-model-name": "m", "json": {"k": "v"}}},
            "kv_events_config": {"prefill": {"publisher": "zmq", "topic": "t"}},
        },
        "frontend": {"type": "dynamo", "num_additional_frontends": 1, "nginx_container": "nginx:1",
                     "nginx_session_affinity": True, "nginx_session_affinity_header": "X-Id",
                     "nginx_keepalive_timeout": "60s", "args": {"router-mode": "kv"}, "env": {"FE": "v"}},
        "dynamo": {"install": True, "version": "0.8.0"},
        "environment": {"ENV": "v", "AT": "{node}"},
        "env_from": ["HF_TOKEN"],
        "container_mounts": {"/a": "/b"},
        "extra_mount": ["/c:/d:ro"],
        "srun_options": {"cpu-bind": "none"},
        "sbatch_directives": {"comment": "c"},
        "setup_script": "s.sh",
        "reporting": {"status": {"endpoint": "http://s"}},
        "observability": {"enabled": True, "enable_otel": True, "otel_endpoint": "http://o"},
        "benchmark": {"type": "sa-bench", "isl": 8, "osl": 8, "concurrencies": [2], "dataset_name": "custom",
                      "dataset_path": "/sets/d.jsonl", "custom_tokenizer": "t.T", "req_rate": "inf"},
    }  # fmt: skip


def vllm() -> Document:
    """Return vLLM with a Mooncake store, a Hugging Face model, nsys profiles, and a command as benchmark."""
    return {
        "name": "n",
        "model": {"path": "hf:org/m", "container": "org/image:1", "precision": "bf16"},
        "resources": {"gpu_type": "h100", "gpus_per_node": 4, "prefill_nodes": 1, "prefill_workers": 2,
                      "decode_nodes": 1, "decode_workers": 1},
        "backend": {
            "type": "vllm", "connector": '{"kv_connector": "X"}',
            "mooncake_kv_store": {"container": "/store.sqsh", "env": {"MS": "v"}, "master_extra_args": ["--v", "1"],
                                  "store_config": {"protocol": "tcp mooncake"}},
            "vllm_config": {"prefill": {"kv-x": "mooncake"}, "decode": {"chat-template": "v"}},
        },
        "frontend": {"type": "dynamo", "enable_multiple_frontends": False},
        "dynamo": {"hash": "abc1234", "cargo_patches": ["p=1"]},
        "environment": {"HF_HOME": "/cache"},
        "profiling": {"type": "nsys", "prefill": {"start_step": 1, "stop_step": 2}, "extra_nsys_args": ["--x"],
                      "decode": {"start_step": 1, "stop_step": 2}},
        "benchmark": {"type": "custom", "command": "echo", "container_image": "/c.sqsh", "env": {"B": "v"},
                      "result": "r.json", "result_format": "vllm"},
    }  # fmt: skip


def trtllm() -> Document:
    """Return TensorRT-LLM behind its own orchestrator, with an evaluation."""
    return {
        "name": "n",
        "model": {"path": "/models/m", "container": "/images/i.sqsh", "precision": "fp4"},
        "resources": {"gpu_type": "gb200", "gpus_per_node": 4, "prefill_nodes": 1, "prefill_workers": 1,
                      "decode_nodes": 1, "decode_workers": 1},
        "backend": {"type": "trtllm", "trtllm_config": {"prefill": {"a": "v", "b": {"c": ["v"]}}, "decode": {"a": "v"}}},
        "frontend": {"type": "trtllm_serve", "enable_multiple_frontends": False, "ctx_router": {"type": "r"},
                     "server_config_extra": {"k": "v"}},
        "benchmark": {"type": "lm-eval", "tasks": ["gsm8k"], "model_args": {"k": "v"}, "include_path": "/tasks",
                      "lm_eval_package": "lm-eval==1", "container_image": "/e.sqsh"},
    }  # fmt: skip


def mocker() -> Document:
    """Return the mocker, with a trace that aiperf replays."""
    return {
        "name": "n",
        "model": {"path": "hf:org/m", "container": "/i.sqsh", "precision": "fp8"},
        "resources": {"gpu_type": "h100", "gpus_per_node": 8, "agg_nodes": 1, "agg_workers": 1},
        "backend": {"type": "mocker", "kv_cache_dtype": "auto", "preemption_mode": "lifo", "aggregated_extra_args": ["--y"]},
        "frontend": {"type": "dynamo", "enable_multiple_frontends": False},
        "dynamo": {"wheel": "0.8.0"},
        "environment": {"HF_HOME": "/cache"},
        "benchmark": {"type": "trace-replay", "trace_file": "/t.jsonl", "concurrencies": "2x4", "aiperf_package": "aiperf==1",
                      "aiperf_args": {"k": "v"}, "container_image": "/a.sqsh"},
    }  # fmt: skip


def profile() -> Document:
    """A cluster profile with all its texts but the preamble, which is shell by intention."""
    return {
        "cluster": "c", "default_account": "a", "default_partition": "p", "default_time_limit": "01:00:00",
        "default_gpu_type": "h100", "default_sbatch_directives": {"comment": "c"}, "default_mounts": {"/pa": "/pb"},
        "env_from": ["TOKEN"], "model_paths": {"alias": "/models/x"}, "containers": {"img": "/images/x"},
        "network_interface": "eth0", "srtctl_root": "/srtctl", "output_dir": "/runs",
        "reporting": {"status": {"endpoint": "http://s"}},
    }  # fmt: skip


RECIPES = {"sglang": sglang, "vllm": vllm, "trtllm": trtllm, "mocker": mocker}


def places(value: Any, way: Place = ()) -> Iterator[Place]:
    """Every text of a document, and every key."""
    if isinstance(value, str):
        yield way
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield (*way, key, KEY)
            yield from places(inner, (*way, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*way, index))


def spoiled(document: Document, place: Place, payload: str) -> Document:
    """The document with a payload behind the text at a place."""
    made = copy.deepcopy(document)
    holder: Any = made
    *way, last = place
    if last == KEY:
        *way, key = way
        for part in way:
            holder = holder[part]
        items = [(f"{k}{payload}" if k == key else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(items)
        return made
    for part in way:
        holder = holder[part]
    holder[last] += payload
    return made
