"""The console's assets: scripts from npm, and message catalogues compiled; neither is committed.

`console/package.json` lists under `looma.vendor` which file of which package goes into the console's `static/vendor`
and under which name. npm checks every package against the hash in `package-lock.json`. The same step serves a
checkout that runs the console from source and the wheel that goes into the image.
"""

import json
import shutil
from pathlib import Path

from looma_cluster.images.catalog import PROJECT
from looma_cluster.images.content import digest
from looma_cluster.images.process import ImageBuildError, run

CONSOLE = PROJECT / "console"


def vendored(package_json: str) -> dict[str, str]:
    """Read {path below node_modules: name below static/vendor} from a package.json."""
    listed: dict[str, str] = json.loads(package_json).get("looma", {}).get("vendor", {})
    return listed


def make(*, cache: Path, console: Path = CONSOLE) -> None:
    """Put scripts and compiled catalogues into the console's package; does nothing if they are there and current.

    Raises:
        ImageBuildError: If npm fails, or a listed file is in none of its packages.
    """
    _scripts(console, cache)
    _catalogues(console / "looma_console" / "translations")


def _scripts(console: Path, cache: Path) -> None:
    package_json = console / "package.json"
    wanted = vendored(package_json.read_text(encoding="utf-8"))
    lock = console / "package-lock.json"
    stamp = digest([("package", package_json.read_bytes()), ("lock", lock.read_bytes())])
    vendor = console / "looma_console" / "static" / "vendor"
    stamp_file = cache / "assets.stamp"
    if (
        stamp_file.is_file()
        and stamp_file.read_text() == stamp
        and all((vendor / n).is_file() for n in wanted.values())
    ):
        return
    # A folder of its own: what somebody keeps in console/node_modules is theirs.
    work = cache / "npm"
    work.mkdir(parents=True, exist_ok=True)
    for source in (package_json, lock, console / ".npmrc"):
        if source.is_file():
            shutil.copy(source, work / source.name)
    run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        step="fetching the console's scripts",
        log=cache / "logs" / "npm.log",
        cwd=work,
        # By sudo, npm's own cache would be left with files that the person can no longer change.
        env={"npm_config_cache": str(cache / "npm-cache")},
        cure="Is the npm registry reachable?",
    )
    vendor.mkdir(parents=True, exist_ok=True)
    for source_name, target_name in wanted.items():
        found = work / "node_modules" / source_name
        if not found.is_file():
            message = f"console/package.json lists {source_name}, which npm did not bring"
            raise ImageBuildError(message)
        shutil.copyfile(found, vendor / target_name)
    stamp_file.write_text(stamp)


def _catalogues(translations: Path) -> None:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    for source in sorted(translations.glob("*/LC_MESSAGES/*.po")):
        compiled = source.with_suffix(".mo")
        if compiled.is_file() and compiled.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as file:
            catalogue = read_po(file)
        partial = compiled.with_suffix(".partial")
        with partial.open("wb") as file:
            write_mo(file, catalogue)
        partial.replace(compiled)
