"""The server that the suite's pods run, built from its source in the Go module as the image that its manifests name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from looma_cluster import binaries, paths
from looma_cluster.builtin import system_images
from looma_cluster.commands import run

HERE = Path(__file__).parent
MODULE = "sigs.k8s.io/gateway-api"
PROGRAM = "echo-basic"
BASE = Path("conformance/base/manifests.yaml")


def go(*arguments: str | Path) -> str:
    """Output of a go command in the module of the conformance test."""
    return run(["go", *arguments], cwd=HERE, environment=binaries.go_environment())


def manifests() -> list[dict]:
    """The objects that all of the suite's tests stand on."""
    go("mod", "download", MODULE)
    folder = Path(go("list", "-m", "-f", "{{.Dir}}", MODULE).strip())
    return [item for item in yaml.safe_load_all((folder / BASE).read_text(encoding="utf-8")) if item]


def reference(objects: list[dict]) -> str:
    """The name under which the manifests ask for the server's image; they all ask for one."""
    names = {
        container["image"]
        for item in objects
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    }
    (name,) = [name for name in names if f"/{PROGRAM}:" in name]
    return name


def archive(name: str) -> Path:
    """The image's archive in the cache, built if it is not there."""
    sums = hashlib.sha256(name.encode() + (HERE / "go.sum").read_bytes()).hexdigest()[:12]
    kept = paths.cache() / "images" / f"{PROGRAM}-{sums}.tar"
    if not kept.exists():
        program = paths.cache() / "conformance" / PROGRAM
        program.parent.mkdir(exist_ok=True)
        go("build", "-trimpath", "-ldflags=-s -w", "-o", program, f"{MODULE}/conformance/{PROGRAM}")
        system_images.pack(program, title=PROGRAM, reference=name, archive=kept)
    return kept


def suite() -> Path:
    """The conformance test as a program; Go builds it anew where its sources have changed."""
    program = paths.cache() / "conformance" / "suite"
    program.parent.mkdir(exist_ok=True)
    go("test", "-c", "-o", program, ".")
    return program
