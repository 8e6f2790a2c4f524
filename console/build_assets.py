"""Builds what the console serves and git does not hold: scripts from npm, compiled catalogues.

    python console/build_assets.py             npm ci, copy the scripts, compile the catalogues
    python console/build_assets.py messages    collect the texts of code and templates into the catalogues

Run it with the project's own Python (it needs Babel). npm checks every package against the hash in
package-lock.json and runs none of their scripts; `looma.vendor` in package.json says which files are copied.
Building again when nothing changed copies nothing and asks npm for nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

HERE = Path(__file__).parent
PACKAGE = HERE / "looma_console"
VENDOR = PACKAGE / "static" / "vendor"
TRANSLATIONS = PACKAGE / "translations"
STAMP = VENDOR / ".built-from"
SOURCE_LANGUAGE = "en"
KEYWORDS = ("_", "gettext", "lazy_gettext", "ngettext:1,2", "lazy_ngettext:1,2")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", nargs="?", choices=["build", "messages"], default="build")
    if parser.parse_args().command == "messages":
        update_messages()
        return
    build()


def build() -> None:
    """Fetch and copy the scripts, and compile the catalogues."""
    fetch_scripts()
    compile_catalogues()


def fetch_scripts() -> None:
    """Copy the scripts that package.json names into static/vendor, unless they are from the same lock already."""
    wanted = json.loads((HERE / "package.json").read_text())["looma"]["vendor"]
    source = hashlib.sha256(
        (HERE / "package.json").read_bytes() + (HERE / "package-lock.json").read_bytes()
    ).hexdigest()
    if (
        STAMP.is_file()
        and STAMP.read_text() == source
        and all((VENDOR / to).is_file() for to in wanted.values())
    ):
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed to fetch the console's scripts: install Node.js (Debian: nodejs and npm)")
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, check=True)
    VENDOR.mkdir(parents=True, exist_ok=True)
    for path, name in wanted.items():
        shutil.copyfile(HERE / "node_modules" / path, VENDOR / name)
    STAMP.write_text(source)


def compile_catalogues() -> None:
    """Write each language's messages.mo, where it differs; one with gaps is an error."""
    for path in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po")):
        with path.open("rb") as file:
            catalogue = read_po(file)
        target = path.with_suffix(".mo")
        fresh = target.with_suffix(".new")
        with fresh.open("wb") as file:
            write_mo(file, catalogue)
        fresh.replace(target)


def collect() -> Catalog:
    """All texts of code and templates, as they are now."""
    with (HERE / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    keywords: dict[str, tuple[int, ...] | None] = {
        name: tuple(int(item) for item in arguments.split(",")) if arguments else None
        for name, _, arguments in (keyword.partition(":") for keyword in KEYWORDS)
    }
    template = Catalog(project="Looma", copyright_holder="the Looma authors", charset="utf-8")
    for name, line, text, comments, context in extract_from_dir(
        HERE, methods, options, keywords=keywords, strip_comment_tags=True
    ):
        template.add(text, None, [(name, line)], auto_comments=comments, context=context)
    return template


def update_messages() -> None:
    """Bring each catalogue up to date: new texts come in untranslated, gone ones leave.

    The source language's catalogue gets its own words, so that it is complete, too.
    """
    for path in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=path.parts[-3])
        # No guessing: a fuzzy translation is a wrong one until somebody looks.
        # Texts of its own: a catalogue takes those of the template as they are, and would hand on its words with them.
        catalogue.update(collect(), no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        if path.parts[-3] == SOURCE_LANGUAGE:
            for message in catalogue:
                if message.id:
                    message.string = message.id
        with path.open("wb") as file:
            write_po(file, catalogue, sort_output=True, no_location=True, omit_header=False, width=0)


if __name__ == "__main__":
    main()
