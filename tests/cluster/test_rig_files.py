"""Files of the rig: the tiny model, the image, and the path of the Python environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import parts
import pytest
import tiny_model


def test_the_tiny_model_is_the_same_each_time(tmp_path: Path) -> None:
    """The same id gives the same bytes, in a snapshot that refs/main names."""
    one, other = (tiny_model.make(tmp_path / name, "Qwen/Qwen3-0.6B") for name in ("one", "other"))
    assert one.relative_to(tmp_path / "one") == other.relative_to(tmp_path / "other")
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()
    model = tmp_path / "one" / "hub" / "models--Qwen--Qwen3-0.6B"
    assert one == model / "snapshots" / (model / "refs" / "main").read_text()


def test_every_token_of_the_tiny_model_is_text(tmp_path: Path) -> None:
    """The vocabulary has no gaps and no duplicates, and as many entries as the config sets."""
    path = tiny_model.make(tmp_path, "acme/tiny")
    tokenizer = json.loads((path / "tokenizer.json").read_text())
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    ids = sorted((tokenizer["model"]["vocab"] | special).values())
    assert ids == list(range(json.loads((path / "config.json").read_text())["vocab_size"]))
    assert all(tokenizer["model"]["vocab"])


def test_an_image_names_what_its_python_needs(tmp_path: Path) -> None:
    """The binds of an image cover the environment and the Python that it links to."""
    image = parts.make_image(tmp_path / "rig.sqsh", Path(sys.prefix))
    root = Path(image.read_text().removeprefix("image: ").strip())
    binds = [Path(line) for line in (root / ".host-binds").read_text().splitlines()]
    for needed in (sys.prefix, sys.base_prefix, Path(sys.executable).resolve()):
        assert any(Path(needed).is_relative_to(bind) for bind in binds)
    assert (root / ".env").read_text().startswith(f"PATH={sys.prefix}/bin:")
    assert not {Path("/"), Path("/root"), Path("/home"), tmp_path} & set(binds)


def test_an_incomplete_environment_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rig is used if its installation is complete, or if SRTPLAN_RIG names it."""
    monkeypatch.delenv("SRTPLAN_RIG", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert parts.find_rig() is None
    monkeypatch.setenv("SRTPLAN_RIG", sys.prefix)
    assert parts.find_rig() == Path(sys.prefix)
    monkeypatch.delenv("SRTPLAN_RIG")
    where = parts.where()
    assert where.parent == tmp_path / "srtplan"
    (where / "bin").mkdir(parents=True)
    (where / "bin" / "python3").symlink_to(sys.executable)
    assert parts.find_rig() is None
    (where / "rig-complete").touch()
    assert parts.find_rig() == where
