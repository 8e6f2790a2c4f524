"""An image's code finds all that it imports in the image: its own packages, and what its lock brings."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from looma_cluster.images import wheel
from looma_cluster.images.catalog import PROJECT, RECIPES, Recipe
from looma_cluster.images.dependencies import locked_names

ENGINES = PROJECT / "engines"
GATEWAY = next(recipe for recipe in RECIPES if recipe.name == "looma-gateway")
ENGINE = next(recipe for recipe in RECIPES if recipe.name == "looma-engine")

# Refuses every installed package that the lock does not bring, then imports the modules named.
GUARD = """
import importlib, sys

foreign, modules = set(sys.argv[1].split(",")), sys.argv[2].split(",")

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign or name in foreign:
            raise ModuleNotFoundError(f"{name} is not in the image")

sys.meta_path.insert(0, Guard())
for module in modules:
    importlib.import_module(module)
"""


def packages() -> list[str]:
    """Paths of the engines' packages and modules, as they are in the wheel."""
    return [
        str(path.relative_to(ENGINES))
        for path in sorted((ENGINES / "looma_engines").iterdir())
        if path.name != "__pycache__" and (path.is_dir() or path.suffix == ".py")
    ]


def modules(recipe: Recipe, below: str) -> list[str]:
    """Names of the image's modules below a folder of the engines."""
    files = (str(path.relative_to(ENGINES)) for path in sorted((ENGINES / below).rglob("*.py")))
    names = (
        file.removesuffix(".py").replace("/", ".") for file in files if wheel.belongs(file, recipe.packages)
    )
    return [name.removesuffix(".__init__") for name in names]


def imported(named: list[str], lock: str, *also_foreign: str) -> subprocess.CompletedProcess[str]:
    there = locked_names((PROJECT / "locks" / lock).read_text())
    foreign = {
        name
        for name, distributions in metadata.packages_distributions().items()
        if not name.startswith("looma_")
        and not any(found.lower().replace("_", "-").replace(".", "-") in there for found in distributions)
    }
    return subprocess.run(
        [sys.executable, "-c", GUARD, ",".join(sorted({*foreign, *also_foreign})), ",".join(named)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_gateways_code_needs_nothing_but_its_own_lock() -> None:
    named = ["looma_engines.main", *modules(GATEWAY, "looma_engines/gateway")]
    assert "looma_engines.gateway.model" in named
    done = imported(
        named, "gateway.txt", "looma_engines.resume", "looma_engines.talent_sync", "looma_engines.demo"
    )
    assert done.returncode == 0, done.stderr


def test_the_engines_command_needs_nothing_of_the_gateway() -> None:
    named = ["looma_engines.main", *modules(ENGINE, "looma_engines/talent_sync")]
    done = imported(named, "engines.txt", "looma_engines.gateway", "looma_operator")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["litestar", "spacy", "sqlalchemy"])
def test_what_the_lock_does_not_bring_is_refused(module: str) -> None:
    """The check above can fail."""
    done = imported([module], "gateway.txt")
    assert f"{module} is not in the image" in done.stderr


@pytest.mark.parametrize("path", packages())
def test_every_engine_is_in_an_image_and_the_gateway_in_its_own(path: str) -> None:
    shared = {"looma_engines/__init__.py", "looma_engines/main.py"}
    holders = {recipe.name for recipe in RECIPES if wheel.belongs(path, recipe.packages)}
    expected = {"looma-gateway"} if path == "looma_engines/gateway" else {"looma-engine"}
    assert holders == ({"looma-gateway", "looma-engine"} if path in shared else expected)
