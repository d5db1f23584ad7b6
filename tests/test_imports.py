"""The import direction is held by import-linter; this keeps the rule from being switched off."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_layers_name_every_package() -> None:
    """Each folder of srtplan stands in the layers of .importlinter."""
    contract = (ROOT / ".importlinter").read_text()
    packages = [p.parent.name for p in (ROOT / "srtplan").glob("*/__init__.py")]
    assert packages
    assert [p for p in packages if f"srtplan.{p}" not in contract] == []


def test_modules_stay_readable() -> None:
    """No module of srtplan passes 400 lines."""
    long = {
        str(p): n for p in (ROOT / "srtplan").rglob("*.py") if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def test_no_file_compares_an_engine_by_name() -> None:
    """Only an engine's own module holds its name as text; everything else asks the plugin."""
    engines = {p.stem for p in (ROOT / "srtplan" / "engines").glob("[!_]*.py")}
    stages = [p for folder in ("plan", "bundle", "cli") for p in (ROOT / "srtplan" / folder).rglob("*.py")]
    found = [
        f"{p.name}: {line.strip()}"
        for p in stages
        for line in p.read_text().splitlines()
        for name in engines
        if f'== "{name}"' in line or f'"{name}" ==' in line
    ]
    assert found == []
