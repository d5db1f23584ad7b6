"""Which of the submitter's variables reach which process: secrets of env_from, and --export=NONE."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from attrs import evolve
from busy import patient
from plans import nats, plan, worker
from shell_lab import TEMPLATES, Job, Lab, bash, in_library

from srtplan.bundle.render import render
from srtplan.config.rules.names import is_taken
from srtplan.ir.plan import EnvVar, Plan, Step
from srtplan.ir.shell import Lit, words

NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
SECRET = "hf_planted$(id)'\"\\secret=="  # noqa: S105 -- planted to be looked for
ALWAYS = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|SLURM\w+|SRT\w+"  # as docs/reference/submission.md says
    r"|PWD|OLDPWD|SHLVL|_"  # of bash
    r"|CUDA_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|SRUN_DEBUG|CURL_HOME"  # of Slurm, or its stand-in
)


def variables(said: bytes) -> set[str]:
    """Names in capital letters, a line each."""
    return {line for line in said.decode().splitlines() if NAME.fullmatch(line)}


def test_no_secret_has_the_name_of_a_variable_of_the_scripts() -> None:
    """env_from rejects the names of all variables of bash, job.sh, its library and the launchers (rules/names.py)."""
    own = "compgen -v | grep -vxFf <(compgen -e)"
    launcher = bash(f"source {TEMPLATES}/lib/step.sh; {own}")
    supervisor = in_library(own)
    job = re.findall(r"(?:^|\s)([A-Z_]+)=", (TEMPLATES / "job.sh.j2").read_text())
    used = variables(launcher.stdout) | variables(supervisor.stdout) | set(job)
    assert len(used) > 60
    assert sorted(name for name in used if not is_taken(name)) == []


def telling(step: Step) -> Step:
    """The same step, which prints the names of its variables and a digest of the secret, and keeps running."""
    tells = 'echo "names: "$(compgen -e; compgen -A function); printf "%s" "${HF_TOKEN:-}" | sha256sum; echo up; exec sleep 1000'
    return evolve(step, argv=words("bash", "-c", tells))


def serving(lab: Lab, **changes: object) -> Plan:
    """NATS without the secret and a worker with it; secrets are in a file."""
    secrets = lab.folder / "a file"
    secrets.write_text(f"# mine\nOTHER=x\nHF_TOKEN={SECRET}")
    secrets.chmod(0o600)
    own = EnvVar(name="DECLARED", value=Lit("yes"))
    first = evolve(telling(worker("prefill_0")), env_from=("HF_TOKEN",), env=(own,))
    return evolve(plan(telling(nats()), first), secrets_file=str(secrets), **changes)


def names(job: Job, step: str) -> set[str]:
    """The names of the variables of a step, once it has printed them."""
    log = job.run_dir / "logs" / f"{step}.out"
    end = time.monotonic() + patient(30)
    while not (log.exists() and "\nup\n" in log.read_text()):
        assert time.monotonic() < end, job.log
        time.sleep(0.05)
    (line,) = re.findall(r"^names: (.*)$", log.read_text(), re.MULTILINE)
    return set(line.split())


def submit(lab: Lab, made: Plan, *options: str, **env: str) -> Job:
    """Submit with options of sbatch, and without SRTPLAN_OUTPUT."""
    bundle = lab.compile(made)
    log = lab.folder / "job.log"
    slurm = lab.cluster.sbatch(bundle / "job.sh", f"--output={log}", *options, cwd=lab.folder, env=env)
    return Job(slurm, bundle, lab.folder / "outputs", log)


RESTRICTED = {
    "compiled": (("NONE",), ()),
    "compiled, and nobody is to be kept out": (("NONE",), ("--export=ALL",)),
    "by sbatch": (("ALL",), ("--export=NONE",)),
    "a list by sbatch": (("NONE",), ("--export=LISTED",)),
}


@pytest.mark.parametrize("how", RESTRICTED)
def test_only_what_is_declared_passes_with_export_none(lab: Lab, how: str) -> None:
    """Only plan, secrets file and Slurm add variables to a step, not the submitter's shells."""
    export, options = RESTRICTED[how]
    directive = ("--export=NONE",) if export == ("NONE",) else ()
    made = serving(lab)
    made = evolve(made, export=export, sbatch=(*made.sbatch, *directive))
    job = submit(lab, made, *options, UNDECLARED="leak", LISTED="1", **{"BASH_FUNC_leak%%": "() { :; }"})
    for step, own in (("nats_0", set()), ("prefill_0", {"DECLARED", "HF_TOKEN"})):
        listed = {"LISTED"} if "list" in how else set()
        assert {n for n in names(job, step) if not ALWAYS.fullmatch(n)} == own | listed, step
        assert {"PATH", "HOME", "SLURM_JOB_ID"} <= names(job, step)
    job.signal("TERM")
    assert job.wait() == 79
    assert digest(SECRET) in (job.run_dir / "logs" / "prefill_0.out").read_text()


def test_everything_passes_without_it(lab: Lab) -> None:
    """Exported variables reach every step; the secret reaches only the steps that list it."""
    job = submit(lab, serving(lab), UNDECLARED="yes", HF_TOKEN=SECRET)
    assert "UNDECLARED" in names(job, "nats_0") & names(job, "prefill_0")
    assert "HF_TOKEN" in names(job, "prefill_0")
    assert "HF_TOKEN" not in names(job, "nats_0")
    job.signal("TERM")
    assert job.wait() == 79
    assert digest(SECRET) in (job.run_dir / "logs" / "prefill_0.out").read_text()


def digest(text: str) -> str:
    """Its sha256."""
    return bash('printf %s "$1" | sha256sum', text).stdout.decode().split()[0]


@pytest.mark.parametrize("trace", ["bash -x", "SHELLOPTS"])
@pytest.mark.parametrize("origin", ["environment", "file"])
def test_a_trace_shows_no_secret(lab: Lab, trace: str, origin: str) -> None:
    """With xtrace the value appears in no log, no argv and no record of Slurm."""
    bundle = lab.compile(serving(lab))
    script, log = bundle / "job.sh", lab.folder / "job.log"
    env = {"SRTPLAN_OUTPUT": str(lab.folder / "outputs"), "SRTPLAN_BUNDLE": str(bundle)}
    env |= {"HF_TOKEN": SECRET} if origin == "environment" else {}
    if trace == "bash -x":
        script = lab.cluster.script("traced.sh", f"exec bash -x {bundle}/job.sh\n")
    else:
        env["SHELLOPTS"] = "xtrace"
    slurm = lab.cluster.sbatch(script, "--nodes=2", f"--output={log}", cwd=lab.folder, env=env)
    job = Job(slurm, bundle, lab.folder / "outputs", log)
    assert "HF_TOKEN" in names(job, "prefill_0")
    record = lab.cluster.run(["scontrol", "show", "job", "-o", str(job.id)]).stdout
    argv = lab.cluster.run(["ps", "-eo", "args"]).stdout
    job.signal("TERM")
    job.wait()
    assert "+ environ::take_secrets" in job.log
    assert ("+ step::main" in (job.run_dir / "logs" / "prefill_0.out").read_text()) == (trace == "SHELLOPTS")
    assert "hf_planted" not in record + argv + job.log
    files = [p for folder in (bundle, job.output) for p in folder.rglob("*") if p.is_file()]
    assert len(files) > 30
    assert [p for p in files if b"hf_planted" in p.read_bytes()] == []


@pytest.mark.parametrize(
    ("export", "says"),
    [
        (
            "ALL",
            "HF_TOKEN is not set: export it before sbatch, or write the line HF_TOKEN=<value> into {} and chmod 600 it",
        ),
        (
            "NONE",
            "HF_TOKEN is not set, and --export does not pass it to the job: "
            "write the line HF_TOKEN=<value> into {} and chmod 600 it",
        ),
    ],
)
def test_the_error_names_what_works(lab: Lab, export: str, says: str) -> None:
    """With --export=NONE the message does not recommend exporting, and its remedy works."""
    made = serving(lab)
    file = Path(made.secrets_file)
    file.unlink()
    job = submit(lab, made, f"--export={export}", HF_TOKEN=SECRET if export == "NONE" else "")
    assert job.wait() == 72
    assert job.status["cause"] == says.format(file)
    file.write_text("HF_TOKEN=abc\n")
    file.chmod(0o600)
    again = submit(lab, made, f"--export={export}")
    assert "HF_TOKEN" in names(again, "prefill_0")


def test_the_default_file_is_in_the_home_of_who_runs_the_job(stand_in_lab: Lab) -> None:
    """``~/`` in the plan becomes the home directory where the job runs, so that a profile serves all users."""
    home = stand_in_lab.folder / "my home"
    home.mkdir()
    (home / ".srtplan-secrets").write_text(f"HF_TOKEN={SECRET}\n")
    (home / ".srtplan-secrets").chmod(0o600)
    made = evolve(serving(stand_in_lab), secrets_file="~/.srtplan-secrets")
    job = submit(stand_in_lab, made, HOME=str(home))
    assert "HF_TOKEN" in names(job, "prefill_0")


def test_a_bundle_without_secrets_has_no_trace_of_them() -> None:
    """Without secrets job.sh has no secrets column and no secrets file."""
    (job,) = [f.content.decode() for f in render(plan(nats())).files if f.path == "job.sh"]
    assert "SECRETS_FILE" not in job
    assert "export -n" not in job
    assert "  secrets" not in job
