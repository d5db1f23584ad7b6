"""Dynamo from source: what is built, how, where it is kept, and how it is installed. git, maturin, pip and apt-get are stand-ins."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_lab import TEMPLATES, bash

LIBRARY = TEMPLATES / "lib"
HASH = "0123456789abcdef0123456789abcdef01234567"
PATCH = 'tinydep = { path = "../../patched", features = ["a"] }'

GIT = r"""
printf 'git %s\n' "$*" >>"$LOG"
[[ "$*" == *clone* ]] || exit 0
top="${!#}"
mkdir -p "$top/.cargo" "$top/.git" "$top/target/release" "$top/lib/bindings/python/src" "$top/lib/llm"
printf '[build]\nrustflags = ["--cfg", "of_the_repository"]\n' >"$top/.cargo/config.toml"
printf '[workspace]\nmembers = ["lib/llm"]\n[workspace.dependencies]\ntinydep = { version = "=1.0.0", features = [\n  "b",\n] }\nother = "1"\n' >"$top/Cargo.toml"
printf '[package]\nname = "llm"\n[features]\ntinydep = []\n[dependencies]\ntinydep = { workspace = true }\n' >"$top/lib/llm/Cargo.toml"
printf '[package]\nname = "tiny"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n[target.'"'cfg(unix)'"'.dependencies]\ntinydep.workspace = true\n' >"$top/lib/bindings/python/Cargo.toml"
printf 'source\n' >"$top/kept"
"""
MATURIN = r"""
printf 'maturin %s\n' "$*" >>"$LOG"
{ printf '%s\n' "$PWD" "${RUSTFLAGS-unset}" "${CARGO_TARGET_DIR}"; cat ../../../../.cargo/config.toml; } >"$SAW/build"
cp ../../../Cargo.toml "$SAW/root.toml"; cp ../../llm/Cargo.toml "$SAW/llm.toml"; cp Cargo.toml "$SAW/python.toml"
sleep "${SLOW:-0}"
[[ -z "${BROKEN:-}" ]] || exit 5
mkdir -p "${!#}"; printf 'wheel\n' >"${!#}/ai_dynamo_runtime-1.0.0-cp310-abi3-linux_x86_64.whl"
"""
PYTHON = r"""
[[ "$1" == -m ]] || { [[ "$1" == -c && -e "$SAW/installed" ]]; exit; }
printf 'pip %s\n' "${*:3}" >>"$LOG"
for last; do :; done
[[ "$last" != *.whl || "$*" != *--force-reinstall* ]] || touch "$SAW/installed"
[[ "$*" != *maturin* || -n "${OFFLINE:-}" ]] || { mkdir -p "$TOOLS"; cp "$SAW/maturin" "$TOOLS/maturin"; }
"""
TOOLS = {
    "git": GIT,
    "maturin": MATURIN,
    "python3": PYTHON,
    "cargo": "",
    "protoc": "",
    "cmake": "",
    "pkg-config": "",
    "cc": "",
    "curl": 'printf "curl %s\\n" "$*" >>"$LOG"; exit 6',
    "apt-get": 'printf "apt-get %s\\n" "$*" >>"$LOG"; exit 1',
}
AWKS = [a for a in ("awk", "mawk", "gawk", "original-awk") if shutil.which(a)] + (
    ["busybox awk"] if shutil.which("busybox") else []
)
SYSTEM = "bash awk cat chmod cp env find flock getconf grep gzip mkdir mktemp mv rm sh sha256sum sleep stat tar touch uname"
SCRIPT = """
set -Eeuo pipefail
SCRATCH=()
step::print_command() { :; }
source "$1"
shift
"""


class Lab:
    """An image with some tools, and what was run in it."""

    def __init__(self, folder: Path) -> None:
        self.job = str(10**8 + random.randrange(10**8))
        self.folder, self.bin, self.saw = folder, folder / "bin", folder / "saw"
        self.own = Path(f"/tmp/srtplan-{self.job}-dynamo")  # noqa: S108 -- where the library keeps it
        self.bin.mkdir()
        self.saw.mkdir()
        for name, script in TOOLS.items():
            self.program(name, script)

    def program(self, name: str, script: str) -> None:
        """Put a program into the image."""
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def env(self, **env: str) -> dict[str, str]:
        """The environment of a step; PATH has no tools of this machine that a build needs."""
        system = self.folder / "system"
        if not system.exists():
            system.mkdir()
            for name in SYSTEM.split():
                (system / name).symlink_to(shutil.which(name) or name)
        return {
            "PATH": f"{self.bin}:{system}",
            "SLURM_JOB_ID": self.job,
            "LOG": str(self.folder / "log"),
            "SAW": str(self.saw),
            "LIBCLANG_PATH": "/somewhere",
            "TMPDIR": str(self.folder),
        } | env

    def install(self, *words: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """Run setup::dynamo_source."""
        script = SCRIPT + 'setup::dynamo_source "$@"'
        return bash(script, str(LIBRARY / "setup.sh"), *words, env=self.env(**env))

    @property
    def calls(self) -> list[str]:
        """What was called so far."""
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An image with all tools; nothing is mounted at /configs."""
    made = Lab(tmp_path)
    yield made
    shutil.rmtree(made.own, ignore_errors=True)


@pytest.fixture
def keep(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in the place of /configs/dynamo-wheels."""
    library = lab.folder / "lib"
    shutil.copytree(LIBRARY, library)
    cache = lab.folder / "configs" / "dynamo-wheels"
    cache.parent.mkdir()
    text = (library / "setup.sh").read_text()
    assert text.count("/configs/dynamo-wheels/${REPLY}") == 2
    (library / "setup.sh").write_text(text.replace("/configs/dynamo-wheels/${REPLY}", f"{cache}/${{REPLY}}"))
    monkeypatch.setitem(globals(), "LIBRARY", library)
    return cache


def test_the_build_is_optimised_and_keeps_the_flags_of_the_repository(lab: Lab) -> None:
    """RUSTFLAGS would replace them; a config.toml above the clone is joined with the repository's by cargo."""
    done = lab.install(HASH, RUSTFLAGS='-L "/odd dir"')
    assert done.returncode == 0, done.stderr
    where, rustflags, target, *config = (lab.saw / "build").read_text().splitlines()
    build = Path(where).parents[3]
    assert where == f"{build}/dynamo/lib/bindings/python"
    assert rustflags == "unset"
    assert target == f"{build}/target"
    assert config == [
        "[build]",
        r'rustflags = ["-L", "\"/odd", "dir\"", "-C", "target-cpu=native", "--cfg", "tokio_unstable"]',
    ]
    assert f"maturin build --release --out {build}/wheels" in lab.calls
    assert f"git -C {build}/dynamo checkout --quiet {HASH}" in lab.calls
    assert not build.exists(), "gigabytes on the node's disk"


CRATE = r"""
cd "$PWD/src" && printf 'fn main() { println!("{} {} {}", !cfg!(debug_assertions), cfg!(tokio_unstable), cfg!(of_the_repository)); }\n' >main.rs
cd .. && cargo run --quiet --offline --release 2>/dev/null >"$SAW/ran"
mkdir -p "${!#}"; touch "${!#}/x.whl"
"""


@pytest.mark.skipif(not shutil.which("cargo"), reason="no cargo here")
def test_cargo_joins_the_flags(lab: Lab) -> None:
    """With the real cargo: optimised, our flags and the repository's, although the image sets RUSTFLAGS."""
    crate = 'printf "[package]\\nname = \\"tiny\\"\\nversion = \\"0.1.0\\"\\nedition = \\"2021\\"\\n[workspace]\\n" >Cargo.toml\n'
    lab.program("maturin", crate + CRATE)
    (lab.bin / "cargo").unlink()
    cargo = Path(shutil.which("cargo") or "")
    tools = f"{lab.env()['PATH']}:{cargo.parent}:/usr/bin:/bin"
    (lab.bin / "cc").unlink()
    done = lab.install(HASH, PATH=tools, RUSTFLAGS="--cfg of_the_image")
    assert done.returncode == 0, done.stderr
    assert (lab.saw / "ran").read_text() == "true true true\n"


def test_patches_replace_a_dependency_in_every_manifest(lab: Lab) -> None:
    """Any form of declaration is replaced; a feature of the same name stays."""
    done = lab.install(HASH, PATCH)
    assert done.returncode == 0, done.stderr
    assert (lab.saw / "root.toml").read_text().splitlines()[2:] == [
        "[workspace.dependencies]",
        PATCH,
        'other = "1"',
    ]
    assert (lab.saw / "llm.toml").read_text().splitlines()[2:] == [
        "[features]",
        "tinydep = []",
        "[dependencies]",
        PATCH,
    ]
    assert (lab.saw / "python.toml").read_text().splitlines()[-1] == PATCH


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ('nothere = "1"', "no Cargo.toml of this revision depends on nothere"),
        ("tinydep", "expected CRATE = SPECIFICATION, got: tinydep"),
    ],
)
def test_a_patch_without_effect_ends_the_step(lab: Lab, patch: str, reason: str) -> None:
    """Before anything is compiled."""
    done = lab.install(HASH, patch)
    assert (done.returncode, reason in done.stderr.decode()) == (1, True), done
    assert not any(call.startswith("maturin") for call in lab.calls)


def test_a_rehearsal_has_no_manifests_to_patch(lab: Lab) -> None:
    """Its clone is empty."""
    done = lab.install(HASH, 'nothere = "1"', SRT_REHEARSAL="1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("awk", AWKS)
def test_every_awk_replaces_a_dependency(tmp_path: Path, awk: str) -> None:
    """A declaration of several lines, with brackets in its texts and comments, is replaced once."""
    manifest = tmp_path / "Cargo.toml"
    manifest.write_text(
        '[dependencies]\na = "1"\nb = { version = "]", features = [ # [\n  "x", # ]\n] }\nb.optional = true\nbc = "2"\n[features]\nb = []\n'
    )
    words = [*awk.split(), "-f", str(LIBRARY / "cargo_patch.awk"), str(manifest)]
    env = {"CRATE": "b", "ENTRY": r'b = { path = "\\&" }', "PATH": os.environ["PATH"]}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines() == [
        "[dependencies]",
        'a = "1"',
        env["ENTRY"],
        'bc = "2"',
        "[features]",
        "b = []",
    ]


def test_a_dependency_that_is_a_table_is_refused(tmp_path: Path) -> None:
    """A dependency declared as a table cannot be replaced."""
    (tmp_path / "Cargo.toml").write_text("[target.'cfg(unix)'.dependencies.tinydep]\nversion = \"1\"\n")
    script = f'cd "$2"; source "$1"; dynamo::_patch \'{PATCH}\''
    done = bash(script, str(LIBRARY / "setup.sh"), str(tmp_path))
    assert (done.returncode, b"as a table, which" in done.stderr) == (1, True)


def test_dynamo_replaces_what_the_image_has(lab: Lab) -> None:
    """pip keeps an installed wheel of the same version; other packages of the image stay as they are."""
    assert lab.install(HASH).returncode == 0
    pip = [call.split() for call in lab.calls if call.startswith("pip")]
    wheel = f"{lab.own}/ai_dynamo_runtime-1.0.0-cp310-abi3-linux_x86_64.whl"
    options = ["pip", "install", "--break-system-packages", "--quiet"]
    source = pip[0][-1]
    assert pip == [
        [*options, wheel, source],
        [*options, "--force-reinstall", "--no-deps", source],
        [*options, "--force-reinstall", "--no-deps", wheel],
    ]
    assert source.endswith("/dynamo")
    assert source.startswith(f"{lab.own}/source.")
    assert not Path(source).exists()


def test_tasks_of_a_container_install_once(lab: Lab) -> None:
    """The second would take the files away from the engine that the first has started."""
    assert lab.install(HASH).returncode == 0
    calls = lab.calls
    assert lab.install(HASH).returncode == 0
    assert lab.calls == calls


def test_an_installed_wheel_is_known_by_its_checksum(tmp_path: Path) -> None:
    """With the real pip: this wheel is installed, another build of the same version is not."""
    folder = tmp_path / "ai_dynamo_runtime-1.0.0.dist-info"
    folder.mkdir()
    wheel = tmp_path / "ai_dynamo_runtime-1.0.0-py3-none-any.whl"
    texts = {
        "METADATA": "Metadata-Version: 2.1\nName: ai-dynamo-runtime\nVersion: 1.0.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"{folder.name}/{name}", text)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    ask = 'source "$1"; dynamo::_is_installed "$2"'
    env = {"PYTHONPATH": str(site)}
    assert bash(ask, str(LIBRARY / "setup.sh"), str(wheel)).returncode == 1
    assert bash(ask, str(LIBRARY / "setup.sh"), str(wheel), env=env).returncode == 0
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("dynamo.py", "")
    assert bash(ask, str(LIBRARY / "setup.sh"), str(wheel), env=env).returncode == 1


def test_two_nodes_build_once(lab: Lab, keep: Path) -> None:
    """The second waits; what is kept is the wheel and the tree without compiler output and history."""
    script = SCRIPT + 'setup::dynamo_source "$@" & setup::dynamo_source "$@" & wait -n; wait -n'
    done = bash(script, str(keep.parents[1] / "lib" / "setup.sh"), HASH, env=lab.env(SLOW="0.5"))
    assert done.returncode == 0, done.stderr
    assert sum(call.startswith("maturin") for call in lab.calls) == 1
    (kept,) = keep.iterdir()
    assert kept.name.startswith(f"{HASH}-{os.uname().machine}-")
    names = sorted(path.name for path in kept.iterdir())
    assert names == [
        ".complete",
        ".lock",
        "ai_dynamo_runtime-1.0.0-cp310-abi3-linux_x86_64.whl",
        "dynamo-src.tar.gz",
    ]
    with tarfile.open(kept / "dynamo-src.tar.gz") as archive:
        tree = archive.getnames()
    assert "dynamo/kept" in tree
    assert not [name for name in tree if "/target" in name or "/.git" in name]


def test_a_build_that_failed_is_not_kept(lab: Lab, keep: Path) -> None:
    """Nothing of it; the next job builds again."""
    assert lab.install(HASH, BROKEN="1").returncode == 5
    (kept,) = keep.iterdir()
    assert [path.name for path in kept.iterdir()] == [".lock"]
    assert not any(call.startswith("pip") for call in lab.calls)
    assert lab.install(HASH).returncode == 0
    assert (kept / ".complete").exists()


def test_the_newest_revision_is_not_kept(lab: Lab, keep: Path) -> None:
    """A build of HEAD is not kept, because HEAD moves."""
    assert lab.install("HEAD").returncode == 0
    assert not keep.exists()
    assert (lab.own / ".complete").exists()


def test_a_build_is_kept_per_kind_of_machine() -> None:
    """Architecture, processor, C library and patches each make another build."""
    script = """
    source "$1"
    ask() { dynamo::key abc123 "$@"; printf '%s\n' "${REPLY}"; }
    grep() { printf 'flags : avx2\n'; }
    getconf() { printf 'glibc 2.35\n'; }
    ask; ask 'a = "1"'; ask 'a = "2"'
    grep() { printf 'flags : avx512f\n'; }; ask
    getconf() { printf 'glibc 2.39\n'; }; ask
    uname() { printf 'aarch64\n'; }; ask
    """
    keys = bash(script, str(LIBRARY / "setup.sh")).stdout.decode().split()
    assert len(set(keys)) == 6, keys
    assert keys[-1].startswith("abc123-aarch64-")


def test_tools_that_the_image_lacks_are_installed(lab: Lab) -> None:
    """From the distribution by apt-get, maturin by pip into a folder of the build; and only those."""
    for name in ("protoc", "cc", "git"):
        (lab.bin / name).rename(lab.saw / name)
    (lab.bin / "maturin").rename(lab.saw / "maturin")
    lab.program(
        "apt-get", 'printf "apt-get %s\\n" "$*" >>"$LOG"; cp "$SAW/protoc" "$SAW/cc" "$SAW/git" "${0%/*}"'
    )
    lab.program("python3", PYTHON.replace('"$TOOLS', '"$6/bin'))
    done = lab.install(HASH)
    assert done.returncode == 0, done.stderr
    assert (
        "apt-get install --yes -qq --no-install-recommends git build-essential protobuf-compiler" in lab.calls
    )
    (pip,) = [call for call in lab.calls if "maturin>=" in call]
    assert "--target" in pip
    assert b"warning" not in done.stderr


@pytest.mark.parametrize("name", ["git", "cargo", "maturin"])
def test_a_tool_that_cannot_be_installed_is_named(lab: Lab, name: str) -> None:
    """A tool that cannot be installed fails the step before the build, with a remedy."""
    (lab.bin / name).unlink()
    done = lab.install(HASH, OFFLINE="1")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert f"cannot build Dynamo: not found in this image and not installable: {name};" in said
    assert "dynamo.wheel" in said
    assert not any(call.startswith("git clone") for call in lab.calls)


def test_a_library_that_may_be_needed_is_a_warning(lab: Lab) -> None:
    """A missing protoc is a warning, because not every revision needs it."""
    (lab.bin / "protoc").unlink()
    done = lab.install(HASH)
    assert (done.returncode, b"not found in this image: protoc" in done.stderr) == (0, True)
