"""`looma-engine NAME`: runs one engine. All engines come from one image and are told apart by their name.

Commands are the other kind: they build no application. Those of the gateway run until they are stopped, and its image
holds no more of the engines than this module, so nothing of them is imported here; a sync worker ends with its shard.

Each other engine's package has a module `app` with `create(settings: EngineSettings) -> Litestar`. The process that
starts reads the settings, so that a wrong variable is said once and plainly; its worker builds the application.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from looma_core import logging
from looma_core.settings import EngineSettings, SettingsError, load

if TYPE_CHECKING:
    from litestar import Litestar

ENGINES = {
    "resume": "looma_engines.resume.app",
    "talent-sync": "looma_engines.talent_sync.app",
}
"""Engine names, as in `spec.engine` of an AIService, and the module that builds each."""

COMMANDS = {
    "gateway": "looma_engines.gateway.main",
    "gateway-init": "looma_engines.gateway.main",
    "records-duplicates": "looma_engines.talent_sync.duplicates.command",
    "records-erase": "looma_engines.talent_sync.rights.main",
    "records-reseal": "looma_engines.talent_sync.privacy.main",
    "records-worker": "looma_engines.talent_sync.syncing.main",
    "skills-import": "looma_engines.talent_sync.skills.command",
    "sync-worker": "looma_engines.sync_worker.main",
}
"""Commands that are no application: modules with `main(name)`."""

WITH_WORDS = {"records-erase", "records-reseal", "skills-import"}
"""Commands that read further words of the command line themselves."""

_NAME_VARIABLE = "LOOMA_ENGINE"
log = logging.get(__name__)
USAGE = f"usage: looma-engine NAME   with NAME one of: {', '.join(sorted({**ENGINES, **COMMANDS}))}"


def main() -> None:
    """Entry point of `looma-engine`; ends with status 2 on a wrong name or wrong settings."""
    arguments = sys.argv[1:]
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return
    known = bool(arguments) and arguments[0] in {**ENGINES, **COMMANDS}
    if not known or (len(arguments) > 1 and arguments[0] not in WITH_WORDS):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    name = arguments[0]
    if name in COMMANDS:
        os.environ.setdefault("LOOMA_SERVICE", name.removesuffix("-init"))
        import_module(COMMANDS[name]).main(name)
        return
    # Without an operator, as on a developer's machine, the engine's own name is the service's.
    os.environ.setdefault("LOOMA_SERVICE", name)
    try:
        settings = load(EngineSettings)
    except SettingsError as error:
        print(f"looma-engine {name} cannot start:\n{error}", file=sys.stderr)
        sys.exit(2)
    logging.configure(service=settings.service, level=settings.log_level, revision=settings.revision)
    # Workers are new processes: they learn the name from the environment.
    os.environ[_NAME_VARIABLE] = name
    from looma_core.http.serve import serve

    serve("looma_engines.main:application", settings=settings)


def application() -> Litestar:
    """Build the application of the engine that this process was started for."""
    settings = load(EngineSettings)
    logging.configure(service=settings.service, level=settings.log_level, revision=settings.revision)
    try:
        return create(os.environ[_NAME_VARIABLE], settings)
    except SettingsError as error:
        # `spec.config` is the engine's own, so only here; a traceback would hide the one line that helps.
        log.error("cannot start", error=str(error))  # noqa: TRY400
        sys.exit(2)


def create(name: str, settings: EngineSettings) -> Litestar:
    """Build the application of engine `name`; raises KeyError for a name that is no engine."""
    app: Litestar = import_module(ENGINES[name]).create(settings)
    return app
