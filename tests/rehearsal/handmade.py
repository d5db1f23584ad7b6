"""A small bundle written by hand, with a job.sh that uses Slurm as the contract says, but no more than that.

In: steps as (name, stage, nodes, argv, ...). Out: a folder that `rehearse` runs. It lets the rehearsal be tested without
the compiler and without the bundle's library.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from programs import BEHAVIORS

JOB = r"""#!/bin/bash
#SBATCH --job-name=handmade
#SBATCH --nodes=@NODES@
#SBATCH --gpus-per-node=8
#SBATCH --signal=B:USR1@30
set -uo pipefail
record="$(scontrol show job -o "${SLURM_JOB_ID}")"
record="${record#* Command=}"
BUNDLE_DIR="${record%%/job.sh *}"
RUN_DIR="${SRTPLAN_OUTPUT}/${SLURM_JOB_ID}/attempt_0"
mkdir -p "${RUN_DIR}/logs" "${RUN_DIR}/results" "${RUN_DIR}/run"
ln -sfn attempt_0 "${RUN_DIR%/*}/latest"
export BUNDLE_DIR RUN_DIR
mapfile -t NODE < <(scontrol show hostnames "${SLURM_JOB_NODELIST}")
declare -A PID=() ID=() GONE=()
CODE=0 CLASS=success STOPPED=""

launch() { # NAME NODES NTASKS EXTRA...
  local name="$1" nodes="$2" ntasks="$3"; shift 3
  local list="" i
  for i in ${nodes//,/ }; do list+="${list:+,}${NODE[i]}"; done
  srun --overlap --input=none --nodes="$(wc -w <<<"${nodes//,/ }")" --ntasks="${ntasks}" --nodelist="${list}" \
    --job-name="${name}" --output="${RUN_DIR}/logs/${name}.out" --open-mode=append --kill-on-bad-exit=1 "$@" \
    bash "${BUNDLE_DIR}/steps/${name}.sh" task "${RUN_DIR}" </dev/null &
  PID["${name}"]="$!"
}
stop_all() {
  [[ -z "${STOPPED}" ]] || return 0
  STOPPED=1
  local tier name ids
  for tier in 0 1 2 3 4; do
    ids=()
    for name in ${TIER[tier]}; do
      [[ -n "${PID[${name}]:-}" ]] && kill -0 "${PID[${name}]}" 2>/dev/null || continue
      ids+=("${SLURM_JOB_ID}.$(cat "${RUN_DIR}/run/${name}.id")")
    done
    ((${#ids[@]})) || continue
    scancel --signal=TERM "${ids[@]}"
    for _ in {1..@GRACE@}; do
      squeue --noheader --steps --jobs="${SLURM_JOB_ID}" --format=%i | grep -qxF "$(printf '%s\n' "${ids[@]}")" || break
      sleep 0.1
    done
    scancel --signal=KILL "${ids[@]}"
  done
}
finish() {
  trap '' TERM INT USR1
  stop_all
  printf '{"class": "%s"}\n' "${CLASS}" >"${RUN_DIR}/status.json"
  echo "end ${CLASS} ${CODE}"
  exit "${CODE}"
}
end() { CODE="$1" CLASS="$2"; echo "$3"; exit; }
trap finish EXIT
trap 'end 79 cancelled "got TERM"' TERM INT
trap 'end 78 time_limit "got USR1"' USR1
watch() { # ends the job if a step that must live has ended
  local name
  for name in "${!PID[@]}"; do
    [[ "${name}" != benchmark ]] || continue
    kill -0 "${PID[${name}]}" 2>/dev/null && continue
    wait "${PID[${name}]}"; local rc="$?"
    end 74 worker "${name} ended with ${rc}"
  done
  sleep 0.1 & wait "$!"
}
srun --overlap --input=none --nodes="${#NODE[@]}" --ntasks="${#NODE[@]}" --job-name=preflight \
  bash -c 'printf "%s %s\n" "${SLURMD_NODENAME}" "${SRT_NODE_ADDRESS}" >"$0/run/address.${SLURM_NODEID}"' "${RUN_DIR}" || exit
IP=()
for i in "${!NODE[@]}"; do read -r _ IP[i] <"${RUN_DIR}/run/address.${i}"; done
printf 'NODE=(%s)\nIP=(%s)\n' "${NODE[*]}" "${IP[*]}" >"${RUN_DIR}/run/nodes.sh"
@LAUNCHES@
"""

STEP = r"""#!/bin/bash
set -Eeuo pipefail
RUN_DIR="$2"
LOG_DIR="${RUN_DIR}/logs"
source "${RUN_DIR}/run/nodes.sh"
[[ "${SLURM_PROCID}" != 0 ]] || printf '%s\n' "${SLURM_STEP_ID}" >"${RUN_DIR}/run/@NAME@.id"
export SRT_STEP=@NAME@
@ENV@
exec @ARGV@
"""


@dataclass(frozen=True)
class Step:
    """One step; words are bash words, so that ${IP[0]} works."""

    name: str
    stage: str
    nodes: tuple[int, ...]
    argv: str
    ntasks: int = 1
    env: dict[str, str] = field(default_factory=dict)
    srun: tuple[str, ...] = ()


TIERS = {"benchmark": 0, "frontend": 2, "worker": 3, "infra": 4}


def write_bundle(
    folder: Path,
    steps: list[Step],
    *,
    nodes: int,
    health: str = "",
    ports: tuple[tuple[int, int], ...] = (),
    grace: int = 30,
) -> Path:
    """Write a bundle. `health` is a bash command that succeeds once all is ready; `ports` are waited for after infra."""
    (folder / "steps").mkdir(parents=True)
    tiers = ["" for _ in range(5)]
    lines: list[str] = []
    for step in steps:
        tiers[TIERS[step.stage]] += f"{step.name} "
        env = "\n".join(f"export {name}={value}" for name, value in step.env.items())
        text = STEP.replace("@NAME@", step.name).replace("@ENV@", env).replace("@ARGV@", step.argv)
        (folder / "steps" / f"{step.name}.sh").write_text(text)
    lines.append(f"TIER=({' '.join(shlex.quote(tier) for tier in tiers)})")
    for stage in ("infra", "worker", "frontend"):
        for step in (one for one in steps if one.stage == stage):
            where = ",".join(map(str, step.nodes))
            lines.append(f"launch {step.name} {where} {step.ntasks} {shlex.join(step.srun)}")
        if stage == "infra":
            lines += [
                f'until timeout 1 bash -c ": </dev/tcp/${{IP[{n}]}}/{port}" 2>/dev/null; do watch; done'
                for n, port in ports
            ]
    lines += [f"until {health}; do watch; done"] if health else []
    lines.append('echo "ready"')
    benchmark = [step for step in steps if step.stage == "benchmark"]
    if benchmark:
        lines.append(f"launch benchmark {benchmark[0].nodes[0]} 1")
        lines.append('while kill -0 "${PID[benchmark]}" 2>/dev/null; do watch; done')
        lines.append(
            'wait "${PID[benchmark]}"; rc="$?"; unset "PID[benchmark]"; if ((rc == 0)); then end 0 success "done"; fi'
        )
        lines.append(  # a client fails because of a worker that is seen to end a moment later
            'for _ in {1..50}; do watch; done; end "${rc}" benchmark "failed"'
        )
    else:
        lines.append("while true; do watch; done")
    job = (
        JOB.replace("@NODES@", str(nodes))
        .replace("@LAUNCHES@", "\n".join(lines))
        .replace("@GRACE@", str(grace))
    )
    (folder / "job.sh").write_text(job)
    plan = {
        "format": "srtplan.plan/2", "name": "handmade", "served_model_name": "m", "engine": "sglang", "frontend": "sglang",
        "nodes": {"total": nodes}, "processes": [], "probes": [],
        "steps": [planned(step) for step in steps],
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def planned(step: Step) -> dict[str, Any]:
    """A step as plan.json has it."""
    argv = shlex.split(step.argv)
    stand_in: dict[str, Any] = {}
    for program in (name for name in BEHAVIORS if name in argv):
        stand_in = {"behavior": BEHAVIORS[program], "program": program}
    if argv[0] == "trtllm-llmapi-launch":
        stand_in["wrappers"] = argv[:1]
    return {
        "name": step.name, "stage": step.stage, "nodes": list(step.nodes), "ntasks": step.ntasks, "argv": argv,
        "stand_in": stand_in,
    }  # fmt: skip


def router_bundle(folder: Path, grace: int = 30) -> Path:
    """A prefill and a decode server behind an SGLang router, and a ladder of one."""
    server = "python3 -m sglang.launch_server --model-path /model --served-model-name m --host 0.0.0.0 --port 30000"
    steps = [
        Step("prefill_0", "worker", (0,), f"{server} --disaggregation-mode prefill --disaggregation-bootstrap-port 31000"),
        Step("decode_0", "worker", (1,), f"{server} --disaggregation-mode decode"),
        Step(
            "router_0", "frontend", (0,),
            "python -m sglang_router.launch_router --pd-disaggregation --prefill http://${IP[0]}:30000 31000"
            " --decode http://${IP[1]}:30000 --host 0.0.0.0 --port 8000",
        ),
        Step(
            "benchmark", "benchmark", (0,),
            "python3 -m sglang.bench_serving --backend sglang-oai --host ${IP[0]} --port 8000 --model m --dataset-name random"
            " --random-input-len 64 --random-output-len 16 --num-prompts 8 --max-concurrency 4"
            " --output-file ${RUN_DIR}/results/c4.jsonl",
        ),
    ]  # fmt: skip
    health = """curl -s "http://${IP[0]}:8000/workers" | grep -q '"prefill_count":1,"decode_count":1'"""
    return write_bundle(folder, steps, nodes=2, health=health, grace=grace)


def dynamo_bundle(folder: Path, kind: str = "sglang", grace: int = 30) -> Path:
    """Infra, a two-node prefill worker and two decode workers on one node, two frontends behind nginx, aiperf."""
    env = {
        "ETCD_ENDPOINTS": "http://${NODE[0]}:2379", "NATS_SERVER": "nats://${NODE[0]}:4222", "DYN_REQUEST_PLANE": "nats",
    }  # fmt: skip
    worker = f"python3 -m dynamo.{kind} --model-path /model --served-model-name m --host 0.0.0.0"
    meet = "--disaggregation-mode prefill --dist-init-addr ${IP[0]}:29500 --nnodes 2 --node-rank"
    etcd = "etcd --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://${IP[0]}:2379 --listen-peer-urls http://0.0.0.0:2380"
    steps = [
        Step("nats", "infra", (0,), "nats-server -js -p 4222"),
        Step("etcd", "infra", (0,), etcd),
        Step("prefill_0_r0", "worker", (0,), f"{worker} {meet} 0", env=env | {"DYN_SYSTEM_PORT": "8081"}),
        Step("prefill_0_r1", "worker", (1,), f"{worker} {meet} 1", env=env | {"DYN_SYSTEM_PORT": "8082"}),
        Step("decode_0", "worker", (2,), f"{worker} --disaggregation-mode decode", env=env | {"DYN_SYSTEM_PORT": "8083"}),
        Step("decode_1", "worker", (2,), f"{worker} --disaggregation-mode decode", env=env | {"DYN_SYSTEM_PORT": "8084"}),
        Step("nginx", "frontend", (0,), "nginx -c ${BUNDLE_DIR}/nginx.conf -g 'daemon off;'"),
        Step("frontend_0", "frontend", (1,), "python3 -m dynamo.frontend --http-port=8080", env=env),
        Step("frontend_1", "frontend", (2,), "python3 -m dynamo.frontend --http-port=8080", env=env),
        Step(
            "benchmark", "benchmark", (0,),
            "aiperf profile -m m --tokenizer m --url http://${IP[0]}:8000 --endpoint-type completions --streaming"
            " --concurrency 4 --request-count 8 --isl 64 --osl 16 --artifact-dir ${RUN_DIR}/results",
        ),
    ]  # fmt: skip
    counts = """grep -o '"endpoint":"generate"' | wc -l"""
    health = " && ".join(
        f'[[ $(curl -s "http://${{IP[{n}]}}:8080/health" | {counts}) == 3 ]]' for n in (1, 2)
    )
    health += ' && curl -sf "http://${IP[0]}:8000/v1/models" | grep -q m'
    bundle = write_bundle(folder, steps, nodes=3, health=health, ports=((0, 4222), (0, 2379)), grace=grace)
    (bundle / "nginx.conf").write_text(
        "worker_processes auto;\nhttp {\n  upstream frontends {\n    server node1:8080;\n    server node2:8080;\n  }\n"
        "  server {\n    listen 8000;\n    location / { proxy_pass http://frontends; }\n  }\n}\n"
    )
    return bundle
