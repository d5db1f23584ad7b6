"""LMDeploy: ``lmdeploy serve api_server``, an OpenAI-compatible server on the GPUs of one node.

Options of the recipe become its flags (lmdeploy/cli/serve.py, 0.10): ``session-len: 32768`` is ``--session-len 32768``.
"""

from collections.abc import Iterable

from srtplan import flags
from srtplan.plugin import Command, Engine, Finding, NoOptions, Recipe, WorkerContext, override, words

PLANNED = {
    "server-port": "srtplan allocates a port for each worker",
    "model-name": "it is the model name that clients use",
    "tp": "it is the number of GPUs per worker",
}


class LMDeploy(Engine[NoOptions], name="lmdeploy"):
    """The LMDeploy engine."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report workers on several nodes, and flags that srtplan sets."""
        for role in recipe.resources.roles:
            yield from flags.check_planned(role.args, role.args_at, PLANNED)
            if recipe.resources.nodes_per_worker(role) > 1:
                message = "LMDeploy workers on several nodes are not supported"
                yield Finding(
                    rule="SP410",
                    path=role.at,
                    message=message,
                    help="use smaller workers that fit on one node",
                )

    @override
    def command(self, ctx: WorkerContext) -> Command:
        """Return the server's argv."""
        name, tp = ctx.job.served_model_name, len(ctx.process.gpus)
        argv = words("lmdeploy", "serve", "api_server", ctx.model, "--server-port", ctx.http_port)
        own = words("--model-name", name, "--tp", tp, *flags.render(ctx.role.args), *ctx.role.extra_args)
        return Command(argv=(*argv, *own), note=f"LMDeploy worker {ctx.endpoint.index}")


PLUGIN = LMDeploy()
