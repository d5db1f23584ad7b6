"""The public API for plugins: the five base classes, their contexts, and the types that plugins return.

A plugin module imports ``srtplan.plugin`` and, to turn recipe options into flags, ``srtplan.flags``. It needs no other
module of srtplan. ``docs/plugins.md`` documents every member and its default::

    class LMDeploy(Engine[NoOptions], name="lmdeploy"):
        @override
        def command(self, ctx: WorkerContext) -> Command:
            return Command(
                argv=words("lmdeploy", "serve", "api_server", ctx.model, "--server-port", ctx.http_port)
            )


    PLUGIN = LMDeploy()
"""

from __future__ import annotations

from srtplan.diagnostics import Finding, Path, no_effect
from srtplan.ir.data import EMPTY, Data, Map, thaw
from srtplan.ir.plan import Container, EnvVar, Mount, PlanFile, ProbeType, Run, SrunOption, StandIn
from srtplan.ir.recipe import MODES, Mode, MooncakeStore, Pairs, Recipe, Role
from srtplan.ir.recipe import Benchmark as BenchmarkSection
from srtplan.ir.shell import (
    BUNDLE_DIR,
    JOB_ID,
    LOG_DIR,
    RUN_DIR,
    Lit,
    Word,
    Words,
    ip,
    node,
    word,
    words,
)  # fmt: skip
from srtplan.ir.topology import Endpoint, Process, Topology
from srtplan.plugin.base import ContractError, NoOptions, Plugin, override, typed_options
from srtplan.plugin.benchmarks import Benchmark, BenchmarkCommand, BenchmarkContext, Input
from srtplan.plugin.contexts import Command, JobContext
from srtplan.plugin.dynamo import dynamo_environment, dynamo_ports
from srtplan.plugin.engines import Engine, Profile, ProfileRequest, Shape, WorkerContext
from srtplan.plugin.frontends import Frontend, FrontendContext
from srtplan.plugin.load import (
    FOLDERS,
    Kind,
    PluginError,
    UnknownPluginError,
    benchmark,
    engine,
    frontend,
    get,
    installed,
    interface,
    names,
    own_names,
    runtime,
    service,
)  # fmt: skip
from srtplan.plugin.ports import Port
from srtplan.plugin.readers import ReportReader
from srtplan.plugin.runtimes import Runtime
from srtplan.plugin.services import OWN_NAME, Service, ServiceContext

__all__ = [
    "BUNDLE_DIR", "EMPTY", "FOLDERS", "JOB_ID", "LOG_DIR", "MODES", "OWN_NAME", "RUN_DIR", "Benchmark",
    "BenchmarkCommand", "BenchmarkContext", "BenchmarkSection", "Command", "Container", "ContractError", "Data",
    "Endpoint", "Engine", "EnvVar", "Finding", "Frontend", "FrontendContext", "Input", "JobContext", "Kind", "Lit",
    "Map", "Mode", "MooncakeStore", "Mount", "NoOptions", "Pairs", "Path", "PlanFile", "Plugin", "PluginError",
    "Port", "ProbeType", "Process", "Profile", "ProfileRequest", "Recipe", "ReportReader", "Role", "Run", "Runtime",
    "Service", "ServiceContext", "Shape", "SrunOption", "StandIn", "Topology", "UnknownPluginError", "Word", "Words",
    "WorkerContext", "benchmark", "dynamo_environment", "dynamo_ports", "engine", "frontend", "get", "installed",
    "interface", "ip", "names", "no_effect", "node", "override", "own_names", "runtime", "service", "thaw",
    "typed_options", "word", "words",
]  # fmt: skip
