"""The command line as a program: what it does with recipes that fail, places that are taken, and a stdout that is full."""

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
Done = subprocess.CompletedProcess[str]


def run(folder: Path, *argv: str | Path, **options: object) -> Done:
    """The command line in a folder, with the faulty plugin installed."""
    path = f"{ROOT}:{folder / 'site'}"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": str(folder)}
    pipes = {"stdout": subprocess.PIPE} | options
    return subprocess.run(
        [*CLI, *map(str, argv)], cwd=folder, env=env, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        **pipes,
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, and the plugin."""
    faulty.install(tmp_path / "site")
    return tmp_path


def bundles(folder: Path) -> list[str]:
    """Every folder that is a bundle, and everything else that is not inside of one, below a folder."""
    found = sorted(p.parent.relative_to(folder).as_posix() for p in folder.rglob("MANIFEST.sha256"))
    inside = [folder / name for name in found]
    rest = [p for p in folder.rglob("*") if not p.is_dir() and not any(p.is_relative_to(b) for b in inside)]
    return [*found, *sorted(p.relative_to(folder).as_posix() for p in rest)]


@pytest.mark.parametrize("how", ["raises", "dangles", "unprintable"])
def test_a_fault_of_ours_in_one_recipe_does_not_concern_the_others(folder: Path, how: str) -> None:
    """compile names the recipe, goes on, and ends with 70, also where another recipe is refused."""
    faulty.recipes(folder / "in", a="manual", b=f"faulty, how: {how}", c="manual", d="no-such-type")
    done = run(folder, "compile", "in", "-o", "out")
    assert done.returncode == 70
    assert bundles(folder / "out") == ["a", "c"]
    assert done.stdout == "out/a/job.sh\nout/c/job.sh\n"
    assert "internal error in in/b.yaml, please report it" in done.stderr
    assert "in/d.yaml:9:19: error[" in done.stderr
    assert "2 bundles written, 1 recipe refused, 1 recipe with an internal error" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argv", "environ", "said"),
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
def test_every_command_says_which_profile_it_uses(
    folder: Path, argv: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    """Once, on stderr, with who named it; also where the recipe is refused."""
    faulty.recipes(folder / "in", recipe="manual")
    for name in ("srtslurm.yaml", "in/named.yaml"):
        (folder / name).write_text("default_account: x\n")
    command = ["env", *(f"{k}={v}" for k, v in environ.items()), *CLI, *argv]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder / 'site'}", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder / "in", env=env, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "cluster profile" in line] == [
        f"cluster profile: {said}"
    ]
    assert "cluster profile" not in done.stdout


def test_without_a_profile_nothing_is_said_of_one(folder: Path) -> None:
    """There is none here nor above."""
    faulty.recipes(folder / "in", recipe="manual")
    assert run(folder, "check", "in").stderr == "1 job ok\n"


def test_check_goes_on_as_well(folder: Path) -> None:
    """check counts the good ones and says what is wrong with the others; SRTPLAN_DEBUG is mentioned."""
    faulty.recipes(folder / "in", a="faulty, how: dangles", b="manual")
    done = run(folder, "check", "in")
    assert done.returncode == 70
    assert "1 job ok, 1 recipe with an internal error" in done.stderr
    assert "step benchmark refers to node 99 of 1" in done.stderr


@pytest.mark.parametrize(
    ("names", "argv"),
    [
        (["a/r.yaml", "b/r.yaml"], ["a/r.yaml", "b/r.yaml"]),
        (["in/r.yaml", "in/r.yml"], ["in"]),
        (["in/a.yaml", "in/r.yaml", "in/r/s.yaml"], ["in"]),
        (["in/r.yaml", "in2/r/s.yaml"], ["in", "in2"]),
    ],
)
def test_two_jobs_in_one_place_are_refused_before_anything_is_written(
    folder: Path, names: list[str], argv: list[str]
) -> None:
    """The same folder twice, or one inside the bundle of another: usage error, both named, nothing written."""
    for name in names:
        faulty.recipes((folder / name).parent, x="manual")
        ((folder / name).parent / "x.yaml").rename(folder / name)
    done = run(folder, "compile", *argv, "-o", "out")
    assert done.returncode == 2
    assert "would both be written to out/r" in done.stderr
    assert not (folder / "out").exists()


def test_all_places_are_looked_at_before_the_first_is_written(folder: Path) -> None:
    """An edited bundle and a foreign folder among the places: both are said, and no other bundle is written."""
    faulty.recipes(folder / "in", a="manual", b="manual", c="manual")
    assert run(folder, "compile", "in/b.yaml", "-o", "out/b").returncode == 0
    (folder / "out" / "b" / "job.sh").write_text("mine")
    (folder / "out" / "c").mkdir()
    (folder / "out" / "c" / "notes.txt").write_text("mine")
    done = run(folder, "compile", "in", "-o", "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert "out/b/job.sh was edited" in done.stderr
    assert "out/c is not empty" in done.stderr
    assert not (folder / "out" / "a").exists()


VARIANTS = "base:\n" + "".join(f"  {line}\n" for line in faulty.RECIPE.splitlines())


def variants(*names: str) -> str:
    """A recipe with variants of these names."""
    text = VARIANTS.format(name="v", type="manual")
    return text + "".join(f"{json.dumps(f'override_{n}')}: {{name: n{i}}}\n" for i, n in enumerate(names))


@pytest.mark.parametrize("name", ["../../evil", "..", "HERE/evil", "a/../../../evil"])
def test_a_variant_does_not_lead_out_of_the_output(folder: Path, name: str) -> None:
    """No name of a variant brings a bundle anywhere but below the output; the recipe is refused, nothing is written."""
    (folder / "r.yaml").write_text(variants("good", name.replace("HERE", str(folder))))
    done = run(folder, "compile", "r.yaml", "-o", "deep/out")
    assert done.returncode in (1, 2), done.stderr
    assert not (folder / "deep").exists()
    assert not (folder / "evil").exists()


def test_the_output_may_be_a_link_but_nothing_below_it(folder: Path) -> None:
    """-o may lead elsewhere, that is the user's; a link below it is not followed, and nothing is written then."""
    (folder / "r.yaml").write_text(variants("a", "b"))
    (folder / "real").mkdir()
    (folder / "out").symlink_to("real")
    assert run(folder, "compile", "r.yaml", "-o", "out").returncode == 0
    assert bundles(folder / "real") == ["a", "b"]
    assert (folder / "out").is_symlink()
    (folder / "elsewhere").mkdir()
    (folder / "real2").mkdir()
    (folder / "real2" / "b").symlink_to(folder / "elsewhere")
    done = run(folder, "compile", "r.yaml", "-o", "real2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "real2/b is a link" in done.stderr
    assert bundles(folder / "elsewhere") == []
    assert [p.name for p in (folder / "real2").iterdir()] == ["b"]


def test_one_bundle_into_a_link(folder: Path) -> None:
    """A single bundle goes into the folder that -o leads to; compiling again changes nothing, and the link stays."""
    faulty.recipes(folder, r="manual")
    (folder / "real").mkdir()
    (folder / "out").symlink_to("real")
    for _ in range(2):
        assert run(folder, "compile", "r.yaml", "-o", "out").returncode == 0
        assert (folder / "out").is_symlink()
        assert (folder / "real" / "job.sh").is_file()


def test_no_bundle_inside_of_a_bundle(folder: Path) -> None:
    """Variants are not written into the bundle of an earlier compile, which would not run any more."""
    faulty.recipes(folder, r="manual")
    (folder / "v.yaml").write_text(variants("a", "b"))
    assert run(folder, "compile", "r.yaml", "-o", "out").returncode == 0
    done = run(folder, "compile", "v.yaml", "-o", "out")
    assert done.returncode == 1
    assert "out is a bundle" in done.stderr
    assert not (folder / "out" / "a").exists()


def test_a_variant_that_is_gone_is_named(folder: Path) -> None:
    """Its bundle of an earlier compile stays and is named; not that of another recipe, nor where variants were selected."""
    (folder / "r.yaml").write_text(variants("a", "b", "c"))
    (folder / "other.yaml").write_text(variants("x", "y"))
    for name in ("other.yaml", "r.yaml"):
        assert "earlier" not in run(folder, "compile", name, "-o", "out").stderr
    (folder / "out" / "mine").mkdir()
    (folder / "out" / "mine" / "plan.json").write_text("not JSON")
    assert "earlier" not in run(folder, "compile", "r.yaml:[ab]", "-o", "out").stderr
    (folder / "r.yaml").write_text(variants("a", "c"))
    done = run(folder, "compile", "r.yaml", "-o", "out")
    assert done.returncode == 0
    assert done.stderr.count("earlier") == 1
    assert "srtplan: out/b is of an earlier compile: r.yaml has no variant 'b'\n" in done.stderr
    assert (folder / "out" / "b" / "job.sh").is_file()


def test_several_plans_are_one_list(folder: Path) -> None:
    """plan --json prints one document: the plan of one job, a list of those of several."""
    (folder / "r.yaml").write_text(variants("a", "b"))
    several = json.loads(run(folder, "plan", "--json", "r.yaml").stdout)
    assert [p["name"] for p in several] == ["n0", "n1"]
    assert all(p["format"] == "srtplan.plan/1" for p in several)
    one = json.loads(run(folder, "plan", "--json", "r.yaml:a").stdout)
    assert one == several[0]


@pytest.mark.parametrize("argv", [["plan", "a.yaml"], ["plan", "--json", "a.yaml"], ["--help"], ["--version"],
                                  ["compile", "a.yaml", "-o", "b"], ["dry-run", "-f", "a.yaml"]])  # fmt: skip
def test_a_full_stdout_is_no_fault_of_ours(folder: Path, argv: list[str]) -> None:
    """On a full disk it says that it cannot write, once, and ends with 1."""
    faulty.recipes(folder, a="manual")
    with Path("/dev/full").open("w") as full:
        done = run(folder, *argv, stdout=full)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("srtplan: cannot write: No space left on device\n") == 1
    assert "internal" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_reader_that_has_had_enough(folder: Path) -> None:
    """Where the reader of a pipe is gone, it ends with 1 and without a word of it."""
    faulty.recipes(folder, a="manual")
    read, write = os.pipe()
    os.close(read)
    done = run(folder, "plan", "a.yaml", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


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
def test_an_empty_argument_is_no_path(folder: Path, argv: list[str]) -> None:
    """What an unset variable of a script leaves is a usage error, not the current directory and all recipes below it."""
    faulty.recipes(folder, a="manual")
    done = run(folder, *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it is empty; is a variable unset?" in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["a.yaml", "site"]


def test_a_rehearsal_into_a_place_that_cannot_be_written(folder: Path) -> None:
    """An ordinary error that names the place, no fault of ours."""
    faulty.recipes(folder, a="manual")
    assert run(folder, "compile", "a.yaml", "-o", "bundle").returncode == 0
    for place in ("a.yaml", "a.yaml/below", "/proc/none"):
        done = run(folder, "rehearse", "bundle", "-o", place)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"srtplan: cannot write to {place}: ")
        assert done.stderr.count("\n") == 1
