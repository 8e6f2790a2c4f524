"""Images of the cluster's own programs: one program each, whole or not there, and nothing left of their making."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_cluster.builtin import system_images
from looma_cluster.commands import CommandError


class Buildah:
    """Writes the archive that `push` names; fails at the word it is told to."""

    def __init__(self):
        self.asked = []
        self.fails_at = ""

    def __call__(self, words, *, log, check):
        arguments = [str(word) for word in words[words.index("vfs") + 1 :]]
        self.asked.append(arguments)
        if arguments[0] == "push":
            Path(arguments[-1].split(":")[1]).write_text("half")
        if arguments[0] == self.fails_at:
            raise CommandError(arguments, 1, "no space left")
        return "working-container\n" if arguments[0] == "from" else ""

    @property
    def verbs(self):
        return [arguments[0] for arguments in self.asked]


@pytest.fixture
def buildah(instance, monkeypatch):
    made = Buildah()
    monkeypatch.setattr(system_images, "run", made)
    monkeypatch.setattr(system_images.binaries, "source_hash", lambda: "0123")
    monkeypatch.setattr(system_images.binaries, "path", lambda name: Path("/bin-x") / name)
    return made


@pytest.mark.parametrize("name", ["looma-pause", "looma-cluster", "looma-metrics-server"])
def test_an_image_is_one_program_that_runs_as_nobody(buildah, name):
    image = system_images.build(name, lambda text: None)
    copied = next(arguments for arguments in buildah.asked if arguments[0] == "copy")
    assert copied == ["copy", "working-container", f"/bin-x/{image.program}", f"/{image.program}"]
    config = next(arguments for arguments in buildah.asked if arguments[0] == "config")
    assert config[config.index("--user") + 1] == system_images.USER
    assert config[config.index("--entrypoint") + 1] == f'["/{image.program}"]'
    assert image.archive.exists()
    assert buildah.verbs[-2:] == ["rm", "rmi"]


def test_an_image_that_is_there_is_not_made_again(buildah):
    system_images.build("looma-pause", lambda text: None)
    buildah.asked.clear()
    system_images.build("looma-pause", lambda text: pytest.fail("made it again"))
    assert buildah.asked == []


@pytest.mark.parametrize("verb", ["copy", "push"])
def test_an_image_that_failed_is_not_there_and_leaves_nothing_in_the_storage(buildah, verb):
    buildah.fails_at = verb
    with pytest.raises(CommandError, match="no space left"):
        system_images.build("looma-pause", lambda text: None)
    assert not system_images.images()["looma-pause"].archive.exists()
    assert buildah.verbs[-2:] == ["rm", "rmi"]


def test_other_programs_make_other_images(buildah, monkeypatch):
    before = system_images.images()["looma-pause"]
    monkeypatch.setattr(system_images.binaries, "source_hash", lambda: "4567")
    after = system_images.images()["looma-pause"]
    assert before.reference != after.reference
    assert before.archive != after.archive
