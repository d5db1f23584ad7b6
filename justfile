export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# List the recipes.
default:
    @just --list

# Everything that CI runs.
check *args:
    tests/run {{args}}

# Tests only, in the environment that `just check` creates.
test *args:
    .venv/bin/pytest {{args}}

# The fast tests, in less than a minute: no whole jobs, no ShellCheck, fewer generated examples.
unit *args:
    SRTPLAN_EFFORT=quick .venv/bin/pytest -q -n 2 -m "not slow" {{args}}

# The linters, without tests.
lint:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/codespell
    .venv/bin/mypy
    .venv/bin/lint-imports --no-cache

# Reformat the code, and apply fixes of the linters.
fmt:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .
    .venv/bin/shfmt -i 2 -ci -w templates/lib/*.sh tests/run tests/rig/install .ci/run

# Add an engine: srtplan/engines/NAME.py, examples/NAME.yaml, its golden files and its section in docs/reference/recipe.md.
new-engine name:
    .venv/bin/python tools/new_engine.py {{name}}
    just golden {{name}}

# Rewrite the golden files (of all cases or one), docs/reference/recipe.md and docs/plugins.md, and show what changed.
golden case="":
    SRTPLAN_GOLDEN=rewrite .venv/bin/pytest -q tests/golden -k "{{case}}"
    SRTPLAN_GOLDEN=rewrite .venv/bin/pytest -q tests/config/test_reference.py tests/test_plugins_page.py
    git diff --stat -- golden docs/reference/recipe.md docs/plugins.md

# Run every failure, and write the outcomes to docs/reference/failures.md.
failures *args:
    SRTPLAN_FAILURES=rewrite .venv/bin/pytest -q -n 2 --dist loadgroup tests/failures {{args}}
    git diff --stat -- docs/reference/failures.md

# Manage a real Slurm on this machine, as root: `just cluster up 4`, `just cluster run sinfo`, `just cluster down`.
cluster *args:
    python3 tests/cluster/cluster.py {{args}}

# Compile one recipe and rehearse it.
rehearse recipe="examples/quickstart.yaml":
    .venv/bin/srtplan compile {{recipe}} -o build/rehearsal
    .venv/bin/srtplan rehearse build/rehearsal
