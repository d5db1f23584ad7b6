"""preflight.sh on one node: paths, ports and their holders, GPUs, and the address of the node."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_lab import TEMPLATES, bash

SCRIPT = str(TEMPLATES / "lib" / "preflight.sh")


class Node:
    """Runs the node's part of the preflight."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(
        self, *rows: tuple[str, str, str, str], interface: str = "", **env: str
    ) -> list[tuple[str, str]]:
        """What node n1 (the second of three) writes."""
        table = self.folder / "table.tsv"
        table.write_text("".join("\t".join(row) + "\n" for row in rows))
        own = {"SLURMD_NODENAME": "n1", **env}
        done = bash(
            'exec bash "$@"', SCRIPT, str(table), str(self.folder), interface, "n0", "n1", "n2", env=own
        )
        assert done.returncode == 0, done.stderr
        lines = (self.folder / "n1").read_text().splitlines()
        return [(kind, text) for kind, _, text in (line.partition("\t") for line in lines)]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with a directory for its answer."""
    return Node(tmp_path)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port in use, on one loopback address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_paths(node: Node) -> None:
    """Directories and files must exist and be readable; a broken link has its own message."""
    (node.folder / "link").symlink_to("/nonexistent")
    rows = [
        ("dir", "/etc", "1", "model.path"),
        ("file", "/etc/passwd", "0,1,2", "image"),
        ("path", "/etc/passwd", "1", "mount"),
        ("dir", "/etc/passwd", "1", "model.path"),
        ("file", "/no model", "1", "image"),
        ("path", str(node.folder / "link"), "1", "mount"),
        ("dir", "/nonexistent", "0,2", "another node's"),
    ]
    said = node.check(*rows, SRT_NODE_ADDRESS="10.0.0.1")
    assert said == [
        ("address", "10.0.0.1"),
        ("fail", "model.path: /etc/passwd is not a readable directory"),
        ("fail", "image: /no model does not exist"),
        ("fail", f"mount: {node.folder}/link is a broken link"),
        ("ok", "3"),
    ]


def test_a_port_in_use_names_port_step_and_holder(node: Node, listener: socket.socket) -> None:
    """A port in use is reported with its step and the process that holds it."""
    port = str(listener.getsockname()[1])
    said = node.check(("port", port, "1", "frontend_0"))
    failure = next(text for kind, text in said if kind == "fail")
    assert failure.startswith(f"port {port} (frontend_0) is in use by ")
    assert f"(pid {os.getpid()})" in failure


def test_another_address_of_this_machine_is_another_node(node: Node, listener: socket.socket) -> None:
    """If a node is one of several addresses, a listener on another address is ignored."""
    port = str(listener.getsockname()[1])
    assert ("ok", "1") in node.check(("port", port, "1", "x"), SRT_NODE_ADDRESS="127.9.9.9")
    assert ("ok", "0") in node.check(("port", port, "1", "x"), SRT_NODE_ADDRESS="127.0.0.1")


def test_gpus_are_counted(node: Node) -> None:
    """Fewer GPUs than planned fail the check; if they cannot be counted, it is a warning."""
    tool = node.folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text('#!/bin/bash\nfor i in {0..3}; do echo "GPU $i: H200 (UUID: x)"; done\n')
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    assert ("ok", "1") in node.check(("gpus", "4", "1", "why"), PATH=path)
    assert ("fail", "GPUs found: 4, required: 8 (why)") in node.check(("gpus", "8", "1", "why"), PATH=path)
    if not Path("/dev/nvidia0").exists():
        assert "warn" in [kind for kind, _ in node.check(("gpus", "8", "1", "why"))]


@pytest.mark.parametrize("address", ["10.0.0.256", "localhost", "0.0.0.0", "1.2.3", "10.0.0.1; x", "::1"])  # noqa: S104
def test_an_address_is_validated(node: Node, address: str) -> None:
    """An unusable IPv4 address fails the check."""
    said = node.check(SRT_NODE_ADDRESS=address)
    assert [kind for kind, _ in said] == ["fail", "ok"]


def test_the_address_is_that_of_the_interface(node: Node) -> None:
    """With an interface in the profile, the address of the node is that of the interface."""
    tool = node.folder / "bin" / "ip"
    tool.parent.mkdir()
    tool.write_text(
        '#!/bin/bash\n[[ "$*" != *"dev ib0"* ]] || echo "2: ib0    inet 10.7.0.3/16 brd 10.7.255.255 scope global ib0"\n'
    )
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    assert ("address", "10.7.0.3") in node.check(interface="ib0", PATH=path)
    assert ("fail", 'no usable IPv4 address on interface ib1 (found "")') in node.check(
        interface="ib1", PATH=path
    )
