"""Python dependencies of an image: installed on the host, for the image's Python, from a lock with hashes.

The host's Python is 3.11 or newer and the image's is 3.13, so uv is told to resolve for the other one; nothing is
compiled, every dependency has a wheel. What no program needs at run time is taken out again: tests of the
packages and sources of compiled modules.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from looma_cluster.images.catalog import PROJECT
from looma_cluster.images.content import digest
from looma_cluster.images.process import run

PYTHON_VERSION = "3.13"
PLATFORM = f"{platform.machine()}-manylinux_2_28"
"""Debian 13 has glibc 2.41; 2.28 is what every wheel in the locks offers."""

UNUSED_SUFFIXES = frozenset({".pyx", ".pxd", ".c", ".cpp", ".h", ".hpp", ".pyi"})
PRUNING = "4"
"""Raised when the rules below change: the cache then makes its folders anew."""


def locked_names(lock: str) -> set[str]:
    """Names of the packages in a lock file, normalised."""
    return {
        re.sub(r"[-_.]+", "-", name).lower()
        for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)
    }


def unused(site: Path) -> list[Path]:
    """Files and folders of a site-packages folder that no program of ours reads.

    Only a package's own top-level `tests` folder counts as tests: deeper ones are sometimes imported.
    """
    found = [site / "bin", *site.glob("*/tests"), *site.glob("__pycache__"), *site.glob(".lock")]
    folders = [path for path in found if path.exists()]
    files = (path for path in site.rglob("*") if path.suffix in UNUSED_SUFFIXES and path.is_file())
    # What is below a folder that goes is gone with it.
    return folders + [path for path in files if not any(path.is_relative_to(folder) for folder in folders)]


def package_index() -> dict[str, str]:
    """Tell uv of the package index that pip was configured for on this machine, if it was."""
    if "UV_DEFAULT_INDEX" in os.environ:
        return {}
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        {"UV_DEFAULT_INDEX": asked.stdout.strip()} if asked.returncode == 0 and asked.stdout.strip() else {}
    )


def identity(lock_name: str) -> str:
    """Hash of what the dependencies of an image are made of."""
    lock = (PROJECT / "locks" / lock_name).read_bytes()
    return digest(
        [
            ("lock", lock),
            ("python", PYTHON_VERSION.encode()),
            ("for", PLATFORM.encode()),
            ("pruning", PRUNING.encode()),
        ]
    )


def install(lock_name: str, *, cache: Path) -> Path:
    """Return a site-packages folder with the dependencies of a lock, from the cache if it is there.

    Raises:
        ImageBuildError: If a wheel is missing, cannot be fetched, or has another hash than the lock says.
    """
    folder = cache / "dependencies" / f"{Path(lock_name).stem}-{identity(lock_name)}"
    if folder.is_dir():
        return folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    run(
        [
            *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--target", str(partial)),
            *("--python", sys.executable, "--python-version", PYTHON_VERSION, "--python-platform", PLATFORM),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-progress"),
            *("--cache-dir", str(cache / "uv"), "--requirements", str(PROJECT / "locks" / lock_name)),
        ],
        step=f"installing the dependencies of locks/{lock_name}",
        log=cache / "logs" / f"dependencies-{Path(lock_name).stem}.log",
        env=package_index(),
        cure="Is the package index reachable? UV_DEFAULT_INDEX names another one.",
    )
    for path in unused(partial):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    partial.rename(folder)
    return folder
