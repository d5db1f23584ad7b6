"""Before workers start: copies of the model, downloads, and waves per node."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest
from made import aggregated, argv, env, option, plan, recipe, rules, step

from srtplan import pipeline
from srtplan.ir.plan import Gate
from srtplan.ir.shell import notation

pytestmark = pytest.mark.usefixtures("alone")
LIBRARY = Path(__file__).parents[2] / "templates" / "lib"


@pytest.mark.parametrize(
    ("engine", "flag"), [("sglang", "--model-path"), ("vllm", "--model"), ("trtllm", "--model-path")]
)
def test_workers_load_the_copy(engine: str, flag: str) -> None:
    """Every engine loads the copy on its node; it is made by one task per worker node and must succeed."""
    made = plan(recipe(engine, model={"stage_dir": "/raid/models"}, infra={"etcd_nats_dedicated_node": True}))
    copy = step(made, "stage_model")
    assert (copy.stage, copy.nodes, copy.ntasks, copy.critical) == ("prepare", (1, 2), 2, True)
    assert argv(made, "stage_model")[2:] == ["/model", "/raid/models/m"]
    assert option(made, "prefill_0", flag) == "/raid/models/m"
    assert ("/raid", "/raid") in {(notation(m.source), notation(m.target)) for m in copy.mounts}
    assert ("dir", "/raid") in {(c.kind, c.subject) for c in made.preflight}
    script = pipeline.bundle(made).text("job.sh")
    assert script.index("steps::await_end prepare") < script.index("steps::start worker")
    assert "'stage_model  prepare   3     TERM    setup" in script


def test_the_root_is_never_mounted() -> None:
    """A folder right below the root is mounted itself; the root and a hub model cannot be staged."""
    made = plan(recipe(model={"stage_dir": "/raid/"}))
    assert "/raid" in {notation(m.target) for m in step(made, "prefill_0").mounts}
    assert "/" not in {notation(m.target) for m in step(made, "prefill_0").mounts}
    assert rules(recipe(model={"stage_dir": "/"})) == ["SP417"]


def test_a_hub_model_is_fetched_once() -> None:
    """With HF_HOME one task fills the cache before workers start; if that fails the workers try."""
    backend = {"prefill_environment": {"HF_HOME": "/cache", "HF_HUB_ENABLE_HF_TRANSFER": "1", "X": "1"}}
    made = plan(recipe(model={"path": "hf:org/m"}, backend=backend))
    fetch = step(made, "fetch_model")
    assert (fetch.nodes, fetch.ntasks, fetch.critical) == ((0,), 1, False)
    assert argv(made, "fetch_model")[-1] == "org/m"
    assert env(made, "fetch_model") == {"HF_HOME": "/cache", "HF_HUB_ENABLE_HF_TRANSFER": "1"}
    assert rules(recipe(model={"path": "hf:org/m"})) == ["SP418"]


def test_a_copy_is_complete_or_an_error(tmp_path: Path) -> None:
    """Missing, short and interrupted files are copied; names with spaces too; a second look copies nothing."""
    source, target = tmp_path / "model", tmp_path / "disk" / "model"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a b.bin").write_bytes(b"x" * 1000)
    (source / "link").symlink_to(source / "sub" / "a b.bin")
    (target / "sub").mkdir(parents=True)
    (target / "sub" / "a b.bin").write_bytes(b"x" * 10)
    words = ["bash", str(LIBRARY / "stage_model.sh"), str(source), str(target)]
    first = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "copying 2 files" in first.stdout
    assert (target / "sub" / "a b.bin").stat().st_size == 1000
    assert not (target / "link").is_symlink()
    second = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "copying" not in second.stdout
    words[2] = str(tmp_path / "nothing")
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


CLIENT = '#!/bin/sh\n[ -z "${HF_HUB_OFFLINE:-}" ] && touch "${HF_HOME}/fetched"\n'


def fetch(home: Path, *, client: str = "#!/bin/sh\n", **env: str) -> str:
    """Run the download of org/m into a folder, with a client of the hub's old name; return what it says."""
    (home / "bin").mkdir(exist_ok=True)
    (home / "bin" / "huggingface-cli").write_text(client)
    (home / "bin" / "huggingface-cli").chmod(0o755)
    environ = {"PATH": f"{home / 'bin'}:/usr/bin:/bin", "HF_HOME": str(home), "HOME": str(home), **env}
    words = ["bash", str(LIBRARY / "fetch_model.sh"), "org/m"]
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=True).stdout


def old_lock(path: Path, content: str = "") -> Path:
    """Make a lock that nobody has touched for two hours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    subprocess.run(["touch", "-d", "2 hours ago", str(path)], check=True)
    return path


def test_a_download_looks_offline_first(tmp_path: Path) -> None:
    """A full cache needs no network; the client's old name will do."""
    assert "downloading" in fetch(tmp_path, client=CLIENT)
    assert (tmp_path / "fetched").exists()
    assert "downloading" not in fetch(tmp_path)


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE~"])
def test_a_download_removes_stale_locks_of_the_hubs_cache(tmp_path: Path, variable: str) -> None:
    """Only old, empty, free ones, where the hub's client has its cache."""
    cache = tmp_path / ("hub" if variable == "HF_HOME" else "cache")
    value = "~/cache" if variable.endswith("~") else str(cache)
    locks = cache / ".locks" / "models--org--m"
    stale = old_lock(locks / "stale.lock")
    held = old_lock(locks / "held.lock")
    kept = [held, old_lock(locks / "soft.lock", "4711\nnode7\n"), old_lock(locks / "other.txt")]
    (locks / "new.lock").touch()
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fetch(tmp_path, **({} if variable == "HF_HOME" else {variable.rstrip("~"): value}))
    assert not stale.exists()
    assert all(path.exists() for path in (*kept, locks / "new.lock"))


def test_a_download_leaves_everything_else_below_hf_home(tmp_path: Path) -> None:
    """Locks of other programs, of another cache, and what a link leads to."""
    elsewhere = tmp_path / "elsewhere"
    locks = tmp_path / "hub" / ".locks"
    kept = [
        old_lock(tmp_path / "project" / "uv.lock"), old_lock(tmp_path / "hub" / "models--org--m" / "x.lock"),
        old_lock(elsewhere / "x.lock"), old_lock(tmp_path / "linked" / "x.lock"),
    ]  # fmt: skip
    locks.mkdir()
    (locks / "models--org--m").symlink_to(elsewhere)
    fetch(tmp_path)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".locks").symlink_to(tmp_path / "linked")
    fetch(tmp_path, HF_HUB_CACHE=str(tmp_path / "cache"))
    assert all(path.exists() for path in kept)


def test_a_download_in_a_rehearsal_removes_nothing(tmp_path: Path) -> None:
    """The cache is the one of the user, not of the rehearsal."""
    stale = old_lock(tmp_path / "hub" / ".locks" / "models--org--m" / "stale.lock")
    fetch(tmp_path, SRT_REHEARSAL="1")
    assert stale.exists()


def test_staging_keeps_a_file_that_has_the_name_of_its_lock(tmp_path: Path) -> None:
    """The lock is opened without truncating it."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.bin").write_bytes(b"x")
    (tmp_path / "m.lock").write_text("mine")
    words = ["bash", str(LIBRARY / "stage_model.sh"), str(tmp_path / "source"), str(tmp_path / "m")]
    subprocess.run(words, capture_output=True, check=True)
    assert (tmp_path / "m" / "a.bin").exists()
    assert (tmp_path / "m.lock").read_text() == "mine"


def test_waves_of_workers() -> None:
    """Two at a time of each node: the third of a node waits for both; other nodes do not hold it up longer."""
    resources = {"prefill_workers": 4, "decode_workers": 2}
    made = plan(recipe("trtllm", resources=resources, backend={"sequential_node_start": 2}))
    assert [s.name for s in made.steps if s.stage == "worker"] == [
        "prefill_0", "prefill_1", "decode_0", "decode_1", "prefill_2", "prefill_3",
    ]  # fmt: skip
    awaited = {p.step: (p.gate, p.port, p.path) for p in made.probes if p.gate.startswith("wave")}
    assert set(awaited) == {"prefill_0", "prefill_1", "decode_0", "decode_1"}
    assert awaited["prefill_0"] == ("wave_0", 8081, "/health")
    assert Gate(name="wave_0", interval_s=10, timeout_s=1800) in made.gates
    script = pipeline.bundle(made).text("job.sh")
    assert "steps::start worker prefill_0 prefill_1 decode_0 decode_1\n  probes::await wave_0\n" in script


def test_one_wave_is_no_wave() -> None:
    """All at once is the default, and one worker of a node has nobody to wait for."""
    for case in ({"resources": {"prefill_workers": 4}}, {"backend": {"sequential_node_start": 1}}):
        assert {g.name for g in plan(recipe("trtllm", **case)).gates} == {"infra", "health", "serving"}


def test_waves_behind_trtllm_serve() -> None:
    """Workers without Dynamo tell their state at the port that serves."""
    frontend = {"type": "trtllm_serve", "enable_multiple_frontends": False}
    resources = {"prefill_workers": 2}
    made = plan(
        recipe("trtllm", resources=resources, backend={"sequential_node_start": 1}, frontend=frontend)
    )
    assert {p.port for p in made.probes if p.gate == "wave_0"} == {30000}


def test_placeholders_of_mounts() -> None:
    """What is known only in the run is a reference, the rest is text; braces that mean nothing were refused before."""
    mounts = {
        "{log_dir}/x": "/a",
        "/d/{run_name}/{head_node_ip}": "/b/{job_id}",
        "{model_path}/t": "/t{gpus_per_node}",
    }
    made = plan(recipe(container_mounts=mounts, infra={"etcd_nats_dedicated_node": True}))
    found = {
        notation(m.source): notation(m.target) for m in step(made, "prefill_0").mounts if m.origin == "recipe"
    }
    assert found == {
        "${LOG_DIR}/x": "/a",
        "/d/case_${JOB_ID}/${IP[1]}": "/b/${JOB_ID}",
        "/models/m/t": "/t8",
    }
    assert [c.subject for c in made.preflight if c.why == "recipe"] == ["/models/m/t"]
    assert rules(recipe(container_mounts={"/x/{container_image}": "/y"}, model={"container": "a/b:1"})) == [
        "SP210"
    ]


def test_the_setup_script_is_looked_for_before_anything_starts() -> None:
    """On every node, in both places, where the folder behind /configs is known."""
    made = plan(recipe(setup_script="fix.sh"), profile={"srtctl_root": "/opt/srtctl"})
    (check,) = [c for c in made.preflight if c.why == "setup_script"]
    assert (check.kind, check.subject) == (
        "any",
        "/opt/srtctl/configs/fix.sh:/opt/srtctl/configs/patches/fix.sh",
    )
    assert not any(c.why == "setup_script" for c in plan(recipe(setup_script="fix.sh")).preflight)
    by_mount = plan(recipe(setup_script="fix.sh", extra_mount=["/my:/configs"]))
    assert any(c.subject.startswith("/my/fix.sh") for c in by_mount.preflight)
    on_host = plan(recipe(setup_script="fix.sh"), profile={"runtime": "none"})
    assert any(c.subject == "/configs/fix.sh:/configs/patches/fix.sh" for c in on_host.preflight)


def test_a_directory_that_only_the_image_can_have_is_a_warning() -> None:
    """Neither srtctl_root nor a mount: a warning; a mount of the folder, of one of two, or of one above, or no container: none."""
    script, wheel = recipe(setup_script="fix.sh"), recipe(dynamo={"wheel": "1.2.0"})
    assert rules(script) == rules(wheel) == ["SP216"]
    assert rules(recipe(setup_script="fix.sh", extra_mount=["/my:/configs"])) == []
    assert rules(recipe(dynamo={"wheel": "1.2.0"}, extra_mount=["/my:/srtctl-wheels"])) == []
    assert rules(recipe(setup_script="fix.sh", extra_mount=["/my:/srtctl-wheels"])) == ["SP216"]
    assert rules(script, profile={"srtctl_root": "/opt/srtctl"}) == []
    assert rules(script, profile={"runtime": "none"}) == []
    assert rules(recipe(setup_script="fix.sh", extra_mount=["/my/fix.sh:/configs/fix.sh"])) == []
    assert rules(recipe(dynamo={"wheel": "1.2.0"}, extra_mount=["/w:/configs/dynamo-wheels"])) == []


def test_aggregated_workers_are_staged_too() -> None:
    """Every worker node of an aggregated job gets its copy."""
    data = recipe("vllm", model={"stage_dir": "/raid/m"}) | {"resources": aggregated(3, 3)}
    assert step(plan(data), "stage_model").nodes == (0, 1, 2)
