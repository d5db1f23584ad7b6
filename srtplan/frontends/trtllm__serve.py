"""TensorRT-LLM's own frontend: ``trtllm-serve disaggregated`` in front of ``trtllm-serve`` workers; no NATS, no etcd.

The orchestrator reads ``ser.yaml``, which lists the workers' addresses and ports. An aggregated job has no orchestrator:
its only worker serves on the public port.
"""

from __future__ import annotations

from collections.abc import Iterable

import yaml
from attrs import frozen

from srtplan import flags
from srtplan.plugin import (
    EMPTY,
    Command,
    Finding,
    Frontend,
    FrontendContext,
    JobContext,
    Lit,
    Map,
    Mode,
    PlanFile,
    Recipe,
    SrunOption,
    StandIn,
    Word,
    ip,
    override,
    thaw,
    word,
    words,
)


@frozen(kw_only=True)
class Options:
    """Routers of the context and generation servers, and additional keys of ``ser.yaml``."""

    ctx_router: Map = EMPTY
    gen_router: Map = EMPTY
    server_config_extra: Map = EMPTY


class TrtllmServe(
    Frontend[Options],
    name="trtllm_serve",
    interfaces=("trtllm_http",),
    step_name="orchestrator",
    probes_workers=True,
):
    """The TensorRT-LLM orchestrator."""

    @override
    def processes(self, recipe: Recipe) -> bool:
        """Return whether prefill and decode workers are separate."""
        return recipe.resources.disaggregated

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report several frontends, and several aggregated workers."""
        if recipe.frontend.multiple and recipe.resources.disaggregated:
            yield Finding(
                rule="SP601",
                path=(*recipe.frontend.at, "enable_multiple_frontends"),
                message="trtllm_serve supports only one frontend",
                help="set `enable_multiple_frontends: false`",
            )
        agg = recipe.resources.role("agg")
        if agg is not None and agg.workers > 1:
            yield Finding(
                rule="SP602",
                path=agg.at,
                message=f"frontend.type trtllm_serve supports only one aggregated worker, not {agg.workers}",
                help="use one aggregated worker, or set `frontend.type: dynamo`",
            )

    @override
    def command(self, ctx: FrontendContext) -> Command:
        """Return ``trtllm-serve disaggregated --config /logs/ser.yaml`` and the recipe's args."""
        args = flags.render(ctx.job.recipe.frontend.args, name=str, ordered=False)
        config = word(ctx.job.logs, "/ser.yaml")
        return Command(
            argv=(*words("trtllm-serve", "disaggregated", "--config", config), *args),
            srun=(SrunOption(name="mpi", value=Lit("pmix")),),
            files=(
                PlanFile(
                    path="ser.yaml", content=_config(ctx, self.options_of(ctx.job.recipe)), run_time=True
                ),
            ),
            listens=(ctx.port,),
            note="TensorRT-LLM orchestrator",
            stand_in=StandIn(behavior="disaggregated"),
        )


def _config(ctx: FrontendContext, options: Options) -> Word:
    fixed = {"hostname": "0.0.0.0", "port": ctx.port}  # noqa: S104 -- clients are on other nodes
    extra = {k: thaw(v) for k, v in options.server_config_extra.pairs}
    return word(
        *_servers(ctx.job, "context_servers", "prefill", options.ctx_router),
        *_servers(ctx.job, "generation_servers", "decode", options.gen_router),
        yaml.safe_dump(fixed | extra, sort_keys=True),
    )


def _servers(job: JobContext, key: str, mode: Mode, router: Map) -> list[str | Word]:
    leaders = job.topology.leaders(mode)
    out: list[str | Word] = [f"{key}:\n  num_instances: {len(leaders)}\n"]
    if router:
        text = yaml.safe_dump({"router": thaw(router)}, sort_keys=True)
        out.append("".join(f"  {line}\n" for line in text.splitlines()))
    out.append("  urls:\n")
    for p in leaders:
        out += ["  - ", ip(p.node), f":{p.port('http')}\n"]
    return out


PLUGIN = TrtllmServe()
