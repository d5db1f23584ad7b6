"""The command line as a program: recipes that fail, folders that are in use, and a full stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import faulty
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
CLI = [sys.executable, "-c", "from srtplan.cli.main import main; main()"]
Completed = subprocess.CompletedProcess[str]


def run(folder: Path, *argv: str | Path, **options: object) -> Completed:
    """Run the command line in a folder, with the faulty plugin installed."""
    path = f"{ROOT}:{folder / 'site'}"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": str(folder)}
    pipes = {"stdout": subprocess.PIPE} | options
    return subprocess.run(
        [*CLI, *map(str, argv)], cwd=folder, env=env, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        **pipes,
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the faulty plugin."""
    faulty.install(tmp_path / "site")
    return tmp_path


def bundles(folder: Path) -> list[str]:
    """Return every bundle below a folder, and every file that is not inside a bundle."""
    found = sorted(p.parent.relative_to(folder).as_posix() for p in folder.rglob("MANIFEST.sha256"))
    inside = [folder / name for name in found]
    rest = [p for p in folder.rglob("*") if not p.is_dir() and not any(p.is_relative_to(b) for b in inside)]
    return [*found, *sorted(p.relative_to(folder).as_posix() for p in rest)]


@pytest.mark.parametrize("how", ["raises", "dangles", "unprintable"])
def test_other_recipes_are_compiled_after_an_internal_error(folder: Path, how: str) -> None:
    """compile names the recipe, compiles the rest, and exits with 70, even if another recipe is refused."""
    faulty.recipes(folder / "in", a="manual", b=f"faulty, how: {how}", c="manual", d="no-such-type")
    result = run(folder, "compile", "in", "-o", "out")
    assert result.returncode == 70
    assert bundles(folder / "out") == ["a", "c"]
    assert result.stdout == "out/a/job.sh\nout/c/job.sh\n"
    assert "internal error in in/b.yaml, please report it" in result.stderr
    assert "in/d.yaml:9:19: error[" in result.stderr
    assert "2 bundles written, 1 recipe refused, 1 recipe with an internal error" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("argv", "environ", "profile"),
    [
        (("check", "recipe.yaml"), {}, "../srtslurm.yaml"),
        (("plan", "recipe.yaml"), {}, "../srtslurm.yaml"),
        (("compile", "recipe.yaml", "-o", "out"), {}, "../srtslurm.yaml"),
        (("dry-run", "-f", "recipe.yaml"), {}, "../srtslurm.yaml"),
        (("apply", "-f", "recipe.yaml"), {}, "../srtslurm.yaml"),
        (("check", "recipe.yaml"), {"SRTSLURM_CONFIG": "named.yaml"}, "named.yaml ($SRTSLURM_CONFIG)"),
        (
            ("check", "recipe.yaml", "--cluster", "named.yaml"),
            {"SRTSLURM_CONFIG": "x"},
            "named.yaml (--cluster)",
        ),
        (("check", "no-such.yaml"), {}, "../srtslurm.yaml"),
    ],
)
def test_every_command_prints_the_profile_it_uses(
    folder: Path, argv: tuple[str, ...], environ: dict[str, str], profile: str
) -> None:
    """Once, on stderr, with the option or variable that selected it, even if the recipe is refused."""
    faulty.recipes(folder / "in", recipe="manual")
    for name in ("srtslurm.yaml", "in/named.yaml"):
        (folder / name).write_text("default_account: x\n")
    command = ["env", *(f"{k}={v}" for k, v in environ.items()), *CLI, *argv]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder / 'site'}", "HOME": str(folder)}
    result = subprocess.run(command, cwd=folder / "in", env=env, capture_output=True, text=True, check=False)
    assert [line for line in result.stderr.splitlines() if "cluster profile" in line] == [
        f"cluster profile: {profile}"
    ]
    assert "cluster profile" not in result.stdout


def test_no_profile_prints_no_profile_line(folder: Path) -> None:
    """Without a profile in this folder or above, stderr has only the summary."""
    faulty.recipes(folder / "in", recipe="manual")
    assert run(folder, "check", "in").stderr == "1 job ok\n"


def test_check_continues_after_an_internal_error(folder: Path) -> None:
    """check counts the valid recipes and prints the error of the others."""
    faulty.recipes(folder / "in", a="faulty, how: dangles", b="manual")
    result = run(folder, "check", "in")
    assert result.returncode == 70
    assert "1 job ok, 1 recipe with an internal error" in result.stderr
    assert "step benchmark refers to node 99 of 1" in result.stderr


@pytest.mark.parametrize(
    ("names", "argv"),
    [
        (["a/r.yaml", "b/r.yaml"], ["a/r.yaml", "b/r.yaml"]),
        (["in/r.yaml", "in/r.yml"], ["in"]),
        (["in/a.yaml", "in/r.yaml", "in/r/s.yaml"], ["in"]),
        (["in/r.yaml", "in2/r/s.yaml"], ["in", "in2"]),
    ],
)
def test_two_jobs_with_one_output_folder_are_a_usage_error(
    folder: Path, names: list[str], argv: list[str]
) -> None:
    """The same folder, or a folder inside another bundle: both jobs are named and nothing is written."""
    for name in names:
        faulty.recipes((folder / name).parent, x="manual")
        ((folder / name).parent / "x.yaml").rename(folder / name)
    result = run(folder, "compile", *argv, "-o", "out")
    assert result.returncode == 2
    assert "would both be written to out/r" in result.stderr
    assert not (folder / "out").exists()


def test_all_output_folders_are_checked_before_the_first_write(folder: Path) -> None:
    """An edited bundle and a folder with other files are both reported, and no bundle is written."""
    faulty.recipes(folder / "in", a="manual", b="manual", c="manual")
    assert run(folder, "compile", "in/b.yaml", "-o", "out/b").returncode == 0
    (folder / "out" / "b" / "job.sh").write_text("mine")
    (folder / "out" / "c").mkdir()
    (folder / "out" / "c" / "notes.txt").write_text("mine")
    result = run(folder, "compile", "in", "-o", "out")
    assert (result.returncode, result.stdout) == (1, "")
    assert "out/b/job.sh was edited" in result.stderr
    assert "out/c is not empty" in result.stderr
    assert not (folder / "out" / "a").exists()


VARIANTS = "base:\n" + "".join(f"  {line}\n" for line in faulty.RECIPE.splitlines())


def variants(*names: str) -> str:
    """Return a recipe with variants of these names."""
    text = VARIANTS.format(name="v", type="manual")
    return text + "".join(f"{json.dumps(f'override_{n}')}: {{name: n{i}}}\n" for i, n in enumerate(names))


@pytest.mark.parametrize("name", ["../../evil", "..", "HERE/evil", "a/../../../evil"])
def test_a_variant_name_cannot_leave_the_output_folder(folder: Path, name: str) -> None:
    """A variant name with a path in it is refused, and nothing is written."""
    (folder / "r.yaml").write_text(variants("good", name.replace("HERE", str(folder))))
    result = run(folder, "compile", "r.yaml", "-o", "deep/out")
    assert result.returncode in (1, 2), result.stderr
    assert not (folder / "deep").exists()
    assert not (folder / "evil").exists()


def test_the_output_folder_may_be_a_link_but_nothing_below_it(folder: Path) -> None:
    """-o may name a link. A link below it is not followed, and then nothing is written."""
    (folder / "r.yaml").write_text(variants("a", "b"))
    (folder / "real").mkdir()
    (folder / "out").symlink_to("real")
    assert run(folder, "compile", "r.yaml", "-o", "out").returncode == 0
    assert bundles(folder / "real") == ["a", "b"]
    assert (folder / "out").is_symlink()
    (folder / "elsewhere").mkdir()
    (folder / "real2").mkdir()
    (folder / "real2" / "b").symlink_to(folder / "elsewhere")
    result = run(folder, "compile", "r.yaml", "-o", "real2")
    assert (result.returncode, result.stdout) == (1, "")
    assert "real2/b is a link" in result.stderr
    assert bundles(folder / "elsewhere") == []
    assert [p.name for p in (folder / "real2").iterdir()] == ["b"]


def test_a_single_bundle_may_be_written_through_a_link(folder: Path) -> None:
    """The bundle is written to the target of -o. A second compile succeeds and keeps the link."""
    faulty.recipes(folder, r="manual")
    (folder / "real").mkdir()
    (folder / "out").symlink_to("real")
    for _ in range(2):
        assert run(folder, "compile", "r.yaml", "-o", "out").returncode == 0
        assert (folder / "out").is_symlink()
        assert (folder / "real" / "job.sh").is_file()


def test_a_bundle_is_not_written_inside_another(folder: Path) -> None:
    """Variants are not written into an earlier bundle, which could then no longer run."""
    faulty.recipes(folder, r="manual")
    (folder / "v.yaml").write_text(variants("a", "b"))
    assert run(folder, "compile", "r.yaml", "-o", "out").returncode == 0
    result = run(folder, "compile", "v.yaml", "-o", "out")
    assert result.returncode == 1
    assert "out is a bundle" in result.stderr
    assert not (folder / "out" / "a").exists()


def test_bundles_of_removed_variants_are_reported(folder: Path) -> None:
    """A bundle is kept and reported if its variant was removed, but not if it belongs to another recipe or selection."""
    (folder / "r.yaml").write_text(variants("a", "b", "c"))
    (folder / "other.yaml").write_text(variants("x", "y"))
    for name in ("other.yaml", "r.yaml"):
        assert "earlier" not in run(folder, "compile", name, "-o", "out").stderr
    (folder / "out" / "mine").mkdir()
    (folder / "out" / "mine" / "plan.json").write_text("not JSON")
    assert "earlier" not in run(folder, "compile", "r.yaml:[ab]", "-o", "out").stderr
    (folder / "r.yaml").write_text(variants("a", "c"))
    result = run(folder, "compile", "r.yaml", "-o", "out")
    assert result.returncode == 0
    assert result.stderr.count("earlier") == 1
    assert "srtplan: out/b is left from an earlier compile: r.yaml has no variant 'b'\n" in result.stderr
    assert (folder / "out" / "b" / "job.sh").is_file()


def test_plan_json_is_one_document(folder: Path) -> None:
    """plan --json prints the plan of a single job, or a list of plans."""
    (folder / "r.yaml").write_text(variants("a", "b"))
    several = json.loads(run(folder, "plan", "--json", "r.yaml").stdout)
    assert [p["name"] for p in several] == ["n0", "n1"]
    assert all(p["format"] == "srtplan.plan/2" for p in several)
    one = json.loads(run(folder, "plan", "--json", "r.yaml:a").stdout)
    assert one == several[0]


@pytest.mark.parametrize("argv", [["plan", "a.yaml"], ["plan", "--json", "a.yaml"], ["--help"], ["--version"],
                                  ["compile", "a.yaml", "-o", "b"], ["dry-run", "-f", "a.yaml"]])  # fmt: skip
def test_a_full_disk_is_not_an_internal_error(folder: Path, argv: list[str]) -> None:
    """If stdout is full, srtplan says once that it cannot write and exits with 1."""
    faulty.recipes(folder, a="manual")
    with Path("/dev/full").open("w") as full:
        result = run(folder, *argv, stdout=full)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("srtplan: cannot write: No space left on device\n") == 1
    assert "internal" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_a_closed_pipe_is_not_reported(folder: Path) -> None:
    """If the reader of a pipe has exited, srtplan exits with 1 and prints nothing."""
    faulty.recipes(folder, a="manual")
    read, write = os.pipe()
    os.close(read)
    result = run(folder, "plan", "a.yaml", stdout=write)
    os.close(write)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(
    "argv",
    [
        ["apply", "-y", "-f", ""],
        ["dry-run", "-f", ""],
        ["check", "a.yaml", ""],
        ["compile", "", "-o", "out"],
        ["compile", "a.yaml", "-o", ""],
        ["check", "a.yaml", "--cluster", ""],
        ["plan", ""],
        ["rehearse", ""],
        ["results", ""],
    ],
)
def test_an_empty_path_is_a_usage_error(folder: Path, argv: list[str]) -> None:
    """An empty argument, such as an unset variable in a script, does not mean the current directory."""
    faulty.recipes(folder, a="manual")
    result = run(folder, *argv)
    assert (result.returncode, result.stdout) == (2, "")
    assert "the path is empty; is a variable unset?" in result.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["a.yaml", "site"]


def test_a_rehearsal_reports_an_unwritable_output_folder(folder: Path) -> None:
    """An ordinary error names the folder, and the exit code is 1."""
    faulty.recipes(folder, a="manual")
    assert run(folder, "compile", "a.yaml", "-o", "bundle").returncode == 0
    for place in ("a.yaml", "a.yaml/below", "/proc/none"):
        result = run(folder, "rehearse", "bundle", "-o", place)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"srtplan: cannot write to {place}: ")
        assert result.stderr.count("\n") == 1
