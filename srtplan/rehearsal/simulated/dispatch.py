"""From the name of a program, or a Python module, to the function that simulates it.

In: name, state folder, argv. Out: exit code. Modules are imported as they are needed: a program that only prints
must not pay for asyncio.
"""

from pathlib import Path

from srtplan.rehearsal.slurm.state import State

ENGINE = "srtplan.rehearsal.simulated.engine"
OPENAI = "srtplan.rehearsal.simulated.openai_servers"
WORKER = "srtplan.rehearsal.simulated.dynamo_worker"
BENCH = "srtplan.rehearsal.simulated.clients"
SERVERS = {
    "sglang.launch_server": (ENGINE, "serve_sglang"),
    "sglang_router.launch_router": ("srtplan.rehearsal.simulated.router", "serve_router"),
    "dynamo.frontend": ("srtplan.rehearsal.simulated.dynamo_frontend", "serve_frontend"),
    "dynamo.sglang": (WORKER, "serve_sglang"),
    "dynamo.vllm": (WORKER, "serve_vllm"),
    "dynamo.trtllm": (WORKER, "serve_trtllm"),
    "dynamo.mocker": (WORKER, "serve_mocker"),
    "vllm.entrypoints.openai.api_server": (OPENAI, "serve_vllm"),
    "vllm serve": (OPENAI, "serve_vllm"),
    "trtllm-serve": (OPENAI, "serve_trtllm"),
    "tensorrt_llm.commands.serve": (OPENAI, "serve_trtllm"),
    "nginx": ("srtplan.rehearsal.simulated.nginx", "serve_nginx"),
    "etcd": ("srtplan.rehearsal.simulated.discovery", "serve_etcd"),
    "nats-server": ("srtplan.rehearsal.simulated.discovery", "serve_nats"),
    "mooncake_master": ("srtplan.rehearsal.simulated.mooncake", "serve_mooncake"),
    "sglang.bench_serving": (BENCH, "bench_sglang"),
    "sglang.test.run_eval": (BENCH, "run_eval"),
    "vllm bench serve": (BENCH, "bench_vllm"),
    "vllm.benchmarks.serve": (BENCH, "bench_vllm"),
    "tensorrt_llm.serve.scripts.benchmark_serving": (BENCH, "bench_vllm"),
    "aiperf": ("srtplan.rehearsal.simulated.aiperf", "bench_aiperf"),
    "lm_eval": ("srtplan.rehearsal.simulated.lm_eval", "evaluate"),
}
QUICK = {"etcd", "nats-server", "nginx", "mooncake_master", "dynamo.frontend", "sglang_router.launch_router"}
"""Programs that have no model to load."""
CLIENTS = {name for name, (module, _) in SERVERS.items() if module == BENCH} | {"aiperf", "lm_eval"}


def main(name: str, state: str, words: list[str]) -> int:
    """Run the simulated program that name and argv mean and return its exit code."""
    if name == "python":
        name, words = words[1], words[2:]
    if name in {"vllm", "vllm.entrypoints.cli.main"}:
        name, words = ("vllm bench serve", words[2:]) if words[:1] == ["bench"] else ("vllm serve", words[1:])
    if name not in SERVERS:
        from srtplan.rehearsal.simulated import tools  # noqa: PLC0415

        return tools.main(name, State(Path(state)), words)
    return _serve(name, State(Path(state)), words)


def _serve(name: str, state: State, words: list[str]) -> int:
    import importlib  # noqa: PLC0415

    from srtplan.rehearsal.simulated.flags import Flags  # noqa: PLC0415
    from srtplan.rehearsal.simulated.program import LOAD_S, Program, run  # noqa: PLC0415

    module, function = SERVERS[name]
    serve = getattr(importlib.import_module(module), function)
    flags = Flags(words)

    async def body(program: Program) -> int:
        code: int = await serve(program, flags)
        return code

    is_client = name in CLIENTS
    return run(Program(state, name, load_s=0.0 if is_client or name in QUICK else LOAD_S), body)
