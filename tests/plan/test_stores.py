"""A Mooncake store, Dynamo's block manager, and ports that a recipe gives."""

from __future__ import annotations

from typing import Any

import pytest
from made import argv, env, option, plan, recipe, rules, step

from srtplan import pipeline

pytestmark = pytest.mark.usefixtures("alone")
HICACHE = {"prefill": {"enable-hierarchical-cache": True, "hicache-storage-backend": "mooncake"}}


def mooncake(engine: str, config: dict[str, Any], **store: Any) -> dict[str, Any]:
    """A recipe with a store."""
    backend = {f"{engine}_config": config, "mooncake_kv_store": {"container": "mooncake:1", **store}}
    return recipe(engine, backend=backend)


def test_the_master_runs_before_the_workers() -> None:
    """A critical service in its own image, awaited at its port, with the ports of the table and the recipe's words."""
    made = plan(mooncake("sglang", HICACHE, env={"MC_LOG": "1"}, master_extra_args=["--x=1"]))
    master = step(made, "mooncake_master")
    assert (master.stage, master.critical, master.nodes) == ("infra", True, (0,))
    assert master.container is not None
    assert master.container.image == "mooncake:1"
    assert {"--rpc_port=8700", "--http_metadata_server_port=8701", "--metrics_port=8702", "--x=1"} <= set(
        argv(made, "mooncake_master")
    )
    assert env(made, "mooncake_master")["MC_LOG"] == "1"
    assert ("mooncake_master", 8700) in {(p.step, p.port) for p in made.probes if p.gate == "infra"}
    assert ("port", "8701", "mooncake_master") in {(c.kind, c.subject, c.why) for c in made.preflight}


def test_workers_find_the_store() -> None:
    """Each worker gets its own address and those of the master."""
    found = env(plan(mooncake("sglang", HICACHE)), "decode_0")
    assert {k: v for k, v in found.items() if k.startswith("MOONCAKE")} == {
        "MOONCAKE_LOCAL_HOSTNAME": "${IP[1]}",
        "MOONCAKE_MASTER": "${IP[0]}:8700",
        "MOONCAKE_TE_META_DATA_SERVER": "http://${IP[0]}:8701/metadata",
    }


def test_vllm_reads_a_file() -> None:
    """store_config is merged with the addresses into the file that MOONCAKE_CONFIG_PATH names."""
    connector = {"kv_connector": "MooncakeStoreConnector", "kv_role": "kv_both"}
    config = {"prefill": {"kv-transfer-config": connector}}
    made = plan(mooncake("vllm", config, store_config={"protocol": "rdma"}))
    assert env(made, "prefill_0")["MOONCAKE_CONFIG_PATH"] == "/logs/mooncake_store_config.json"
    text = pipeline.bundle(made).text("files/mooncake_store_config.json")
    assert '"master_server_address": "${IP[0]}:8700"' in text
    assert '"protocol": "rdma"' in text


def test_a_store_that_nobody_uses_is_refused() -> None:
    """Without a role whose options name mooncake the master would run for nothing; it has no twin of its ports."""
    assert rules(mooncake("sglang", {})) == ["SP510"]
    assert rules(mooncake("sglang", HICACHE, master_extra_args=["--rpc_port=1"])) == ["SP502"]


def test_block_managers_have_ports_of_their_own() -> None:
    """Two workers of a node that use KVBM do not meet at one default port."""
    resources = {"decode_workers": 2}
    backend = {"decode_environment": {"DYN_CONNECTOR": "kvbm"}}
    made = plan(recipe("vllm", resources=resources, backend=backend))
    ports = [env(made, f"decode_{n}")["DYN_KVBM_LEADER_ZMQ_PUB_PORT"] for n in (0, 1)]
    assert ports == ["7550", "7552"]
    assert env(made, "decode_1")["DYN_KVBM_LEADER_ZMQ_ACK_PORT"] == "7553"
    assert "DYN_KVBM_LEADER_ZMQ_HOST" not in env(made, "prefill_0")
    by_connector = plan(recipe("vllm", backend={"connector": "kvbm"}))
    assert "DYN_KVBM_LEADER_ZMQ_HOST" in env(by_connector, "prefill_0")


@pytest.mark.parametrize("port", [0, -1, 65536, "8998", True, 1.5])
def test_a_port_must_be_one(port: object) -> None:
    """An invalid bootstrap port is an error at its place in the recipe."""
    backend = {"sglang_config": {"prefill": {"disaggregation-bootstrap-port": port}}}
    assert rules(recipe(backend=backend)) == ["SP509"]
    backend = {"vllm_config": {"prefill": {"data-parallel-rpc-port": port}}}
    assert rules(recipe("vllm", backend=backend)) == ["SP509"]


def test_ports_of_the_recipe_count_up() -> None:
    """Two data-parallel workers of one node get neighbouring ports from the recipe's on."""
    ranks = {"data-parallel-size": 4, "data-parallel-rpc-port": 14000}
    made = plan(recipe("vllm", resources={"decode_workers": 2}, backend={"vllm_config": {"decode": ranks}}))
    assert [option(made, f"decode_{n}", "--data-parallel-rpc-port") for n in (0, 1)] == ["14000", "14001"]


def test_vllm_port_of_one_node_only() -> None:
    """The processes of a worker over several nodes agree on ports by themselves."""
    made = plan(recipe("vllm", resources={"decode_nodes": 2}))
    assert "VLLM_PORT" in env(made, "prefill_0")
    assert "VLLM_PORT" not in env(made, "decode_0_r1")


def test_direct_vllm_over_several_nodes() -> None:
    """Behind one public port the first node balances all data-parallel ranks; the others are headless."""
    resources = {"gpu_type": "h100", "gpus_per_node": 8, "agg_nodes": 2, "agg_workers": 1}
    data = recipe(
        "vllm", backend={"vllm_config": {"aggregated": {"data-parallel-size": 16}}}, frontend={"type": "vllm"}
    )
    made = plan(data | {"resources": resources})
    assert option(made, "agg_0_r0", "--port") == "8000"
    assert "--data-parallel-hybrid-lb" not in argv(made, "agg_0_r0")
    other = "agg_0_r8"
    assert option(made, other, "--data-parallel-start-rank") == "8"
    assert "--headless" in argv(made, other)


def test_duplicate_flags() -> None:
    """Aliases of one flag, and extra arguments that repeat an option or override the plan."""
    backend = {"sglang_config": {"prefill": {"tp-size": 8, "tensor-parallel-size": 4}}}
    assert "SP501" in rules(recipe(backend=backend))
    extra = {
        "prefill_extra_args": ["--tp-size", "8", "--port=1"],
        "sglang_config": {"prefill": {"tp_size": 8}},
    }
    assert rules(recipe(backend=extra)) == ["SP501", "SP502"]


@pytest.mark.parametrize(
    "options", [{"disaggregation-mode": "decode"}, {"is-decode-worker": True}, {"is-prefill-worker": False}]
)
def test_vllm_flags_against_the_mode(options: dict[str, object]) -> None:
    """A flag cannot turn a prefill worker into another kind; a flag that repeats its kind is accepted."""
    fits = options == {"is-prefill-worker": False}
    backend = {"vllm_config": {"prefill": options}}
    assert rules(recipe("vllm", backend=backend)) == ([] if fits else ["SP503"])
