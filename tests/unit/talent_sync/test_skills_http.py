"""Skills over HTTP before a real database: the taxonomy, what a text means, and who has a skill."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.key_ring import VARIABLE, ring_file
from support.sync_runs import Runs, person
from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from litestar.testing import TestClient

    from support.database import DatabaseUrls

pytestmark = pytest.mark.database
API = "/api/v1"
NOBODY = str(uuid.UUID(int=7))
CONCEPT = "http://data.europa.eu/esco/skill/made-up-1"
Json = dict[str, Any]


class World:
    """The taxonomy of one tenant, and who has its skills."""

    def __init__(self, client: TestClient[Any], auth: dict[str, str]) -> None:
        self.client, self.auth = client, auth

    def post(self, path: str, body: Any = None, *, expects: int = 201) -> Json:
        answer = self.client.post(f"{API}/{path}", headers=self.auth, json=body)
        assert answer.status_code == expects, answer.text
        told: Json = answer.json()
        return told

    def get(self, path: str, *, expects: int = 200, **params: Any) -> Json:
        answer = self.client.get(f"{API}/{path}", headers=self.auth, params=params)
        assert answer.status_code == expects, answer.text
        told: Json = answer.json()
        return told

    def patch(self, record: Json, *, expects: int = 200, kind: str = "skills", **changes: Any) -> Json:
        url = f"{API}/{kind}/{record['id']}"
        answer = self.client.patch(url, headers=self.auth | {"If-Match": "*"}, json=changes)
        assert answer.status_code == expects, answer.text
        told: Json = answer.json()
        return told

    def delete(self, record: Json, *, kind: str = "skills", expects: int = 204) -> None:
        url = f"{API}/{kind}/{record['id']}"
        answer = self.client.delete(url, headers=self.auth | {"If-Match": "*"})
        assert answer.status_code == expects, answer.text

    def skill(self, name_en: str, *above: Json, aliases: Json | None = None, **more: Any) -> Json:
        names = [
            {"language": language, "name": name}
            for language, several in (aliases or {}).items()
            for name in several
        ]
        body = {"name_en": name_en, "parents": [one["id"] for one in above], "aliases": names, **more}
        return self.post("skills", body)

    def person(self, *skills: str, name: str = "Ada") -> Json:
        return self.post("talents", {"full_name": name, "skills": list(skills)})

    def having(self, skill: Json, kind: str = "talents", **params: Any) -> set[str]:
        found = {one["id"] for one in self.get(kind, skill=skill["id"], limit=200, **params)["items"]}
        counted = self.get(
            f"{kind}/count", skill=skill["id"], **{k: v for k, v in params.items() if k != "sort"}
        )
        assert counted == {"count": len(found), "exact": True}
        return found

    def matches(self, text: str, **params: Any) -> list[tuple[str, str]]:
        found = self.get("skills/lookup", text=text, **params)["items"]
        return [(one["skill"]["key"], one["match"]) for one in found]


@pytest.fixture
def world(client: TestClient[Any], auth: dict[str, str]) -> World:
    return World(client, auth)


def ids(*records: Json) -> set[str]:
    return {record["id"] for record in records}


def test_a_skill_is_made_and_read(world: World) -> None:
    group = world.skill("Languages", kind="group")
    made = world.skill(
        "Go", group, name_zh="Go语言", kind="tool", aliases={"en": ["Golang"]}, esco_uri=CONCEPT
    )
    assert (made["key"], made["version"], made["status"]) == ("go", 1, "active")
    assert made["parents"] == [group["id"]]
    assert world.get(f"skills/{made['id']}") == made
    assert world.get(f"skills/{made['id']}", fields="key,name_zh") == {
        "id": made["id"],
        "version": 1,
        "key": "go",
        "name_zh": "Go语言",
    }
    changed = world.patch(made, name_zh="Go")
    assert (changed["version"], changed["name_zh"], changed["key"]) == (2, "Go", "go")
    stale = world.client.patch(
        f"{API}/skills/{made['id']}", headers=world.auth | {"If-Match": '"1"'}, json={"name_zh": "G"}
    )
    assert stale.status_code == 412
    told = world.get(f"skills/{made['id']}/history")["items"]
    assert [(entry["version"], entry["action"]) for entry in told] == [(2, "update"), (1, "create")]
    assert [change["field"] for change in told[0]["changes"]] == ["name_zh"]


def test_lists_are_narrowed_sorted_and_paged(world: World) -> None:
    top = world.skill("Top", kind="group")
    tools = [world.skill(f"Tool {letter}", top, kind="tool") for letter in "CAB"]
    old = world.patch(tools[0], status="retired")

    def keys(**params: Any) -> list[str]:
        return [one["key"] for one in world.get("skills", **params)["items"]]

    assert keys() == ["tool-a", "tool-b", "tool-c", "top"]
    assert keys(sort="-key", limit=1) == ["top"]
    assert keys(sort="created_at") == ["top", "tool-c", "tool-a", "tool-b"]
    assert keys(kind="group") == keys(top=True) == ["top"]
    assert keys(parent=top["id"]) == keys(top=False) == ["tool-a", "tool-b", "tool-c"]
    assert keys(status="retired") == ["tool-c"]
    assert keys(updated_since=old["updated_at"]) == ["tool-c"]
    assert keys(q="tool b") == ["tool-b"]
    assert world.get("skills/count", parent=top["id"], status="active") == {"count": 2, "exact": True}
    first = world.get("skills", limit=3)
    rest = world.get("skills", limit=3, cursor=first["next_cursor"])
    assert [one["key"] for one in rest["items"]] == ["top"]
    assert keys(parent=NOBODY) == []
    wrong = world.get("skills", sort="name_en", expects=422)
    assert [error["field"] for error in wrong["errors"]] == ["sort"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name_en"),
        ({"name_zh": "项目管理"}, "key"),
        ({"name_en": "A", "key": "No Key"}, "key"),
        ({"name_en": "A", "parents": [NOBODY]}, "parents"),
        ({"name_en": "A", "replaced_by": NOBODY, "status": "retired"}, "replaced_by"),
        ({"name_en": "A", "esco_uri": "made up"}, "esco_uri"),
        ({"name_en": "A", "aliases": [{"language": "English", "name": "B"}]}, "aliases"),
        ({"name_en": "A", "kind": "spell"}, "kind"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(world: World, body: Json, field: str) -> None:
    errors = world.post("skills", body, expects=422)["errors"]
    assert field in {error["field"].partition("[")[0] for error in errors}, errors


def test_a_key_is_given_once_and_stays(world: World) -> None:
    made = world.skill("Rust")
    again = world.post("skills", {"name_en": "rust"}, expects=409)
    assert made["id"] in again["detail"]
    errors = world.patch(made, key="rusty", expects=422)["errors"]
    assert [error["field"] for error in errors] == ["key"]
    world.delete(made)
    world.get(f"skills/{made['id']}", expects=404)
    gone = world.post("skills", {"name_en": "Rust"}, expects=409)
    assert "deleted" in gone["detail"]
    answer = world.client.post(f"{API}/skills/{made['id']}/restore", headers=world.auth | {"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    assert world.matches("rust") == [("rust", "exact")], "its names come back with it"


def test_nothing_is_above_itself(world: World) -> None:
    a = world.skill("A")
    b = world.skill("B", a)
    c = world.skill("C", b)
    for parents in ([a["id"]], [c["id"]]):
        errors = world.patch(a, parents=parents, expects=422)["errors"]
        assert [error["field"] for error in errors] == ["parents"]
    assert "a → c → b → a" in errors[0]["message"]
    errors = world.patch(a, status="retired", replaced_by=c["id"], expects=422)["errors"]
    assert [error["field"] for error in errors] == ["replaced_by"]
    two = world.skill("Two", a, c)
    assert [one["key"] for one in world.get(f"skills/{two['id']}/ancestors")["items"]] == ["a", "c", "b"]
    assert [one["key"] for one in world.get(f"skills/{a['id']}/children")["items"]] == ["b", "two"]
    assert world.get(f"skills/{two['id']}/children")["items"] == []
    for where in ("children", "ancestors"):
        world.get(f"skills/{NOBODY}/{where}", expects=404)


def test_what_others_are_below_is_not_deleted(world: World) -> None:
    a = world.skill("A")
    b = world.skill("B", a)
    world.delete(a, expects=409)
    world.patch(b, parents=[])
    world.delete(a)
    world.patch(b, name_zh="乙", expects=200)


def test_what_a_text_means(world: World) -> None:
    world.skill("Node.js", aliases={"en": ["Node"], "zh": ["Node后端"]})
    for key, name in (("c", "C"), ("c-plus-plus", "C++"), ("c-sharp", "C#")):
        world.skill(name, key=key)
    manage = world.skill("Project Management", name_zh="项目管理", kind="skill")
    for text in ("nodejs", "NODE.JS", "node js", "node-js", "ＮＯＤＥ．ＪＳ", " Node ", "node后端"):
        assert world.matches(text)[0] == ("node-js", "exact"), text
    assert world.matches("C")[0] == ("c", "exact")
    assert world.matches("c++")[0] == ("c-plus-plus", "exact")
    assert world.matches("C＃")[0] == ("c-sharp", "exact")
    assert world.matches("项目") == [("project-management", "prefix")]
    assert world.matches("管理") == [("project-management", "part")]
    assert world.matches("proj") == [("project-management", "prefix")]
    assert world.matches("--") == []
    assert len(world.matches("c", limit=2)) == 2
    assert world.matches("項目") == [], "traditional signs are other names"
    new = world.skill("Programme Management")
    world.patch(manage, status="retired", replaced_by=new["id"])
    assert world.matches("项目管理") == [("programme-management", "exact")], (
        "what took its place has its names"
    )
    assert ("project-management", "prefix") not in world.matches("proj")
    wrong = world.get("skills/lookup", expects=422, text="")
    assert [error["field"] for error in wrong["errors"]] == ["text"]


def test_an_ambiguous_name_is_told_of_each(world: World) -> None:
    world.skill("Go", aliases={"en": ["围棋"]}, key="go-game")
    world.skill("Go", key="go")
    assert world.matches("go") == [("go", "exact"), ("go-game", "exact")]


def test_whoever_has_a_skill_by_any_name_is_found(world: World) -> None:
    languages = world.skill("Programming Languages", kind="group")
    node = world.skill("Node.js", languages, aliases={"zh": ["节点"]})
    c = world.skill("C", languages)
    cpp = world.skill("C++", languages)
    one, two, three = world.person("NodeJS", "Git"), world.person("node.js"), world.person("节点")
    four, five = world.person("C++"), world.person("ｃ")
    nobody = world.person("Cooking")
    assert world.having(node) == ids(one, two, three)
    assert world.having(cpp) == ids(four)
    assert world.having(c) == ids(five)
    assert world.having(languages) == ids(one, two, three, four, five)
    assert nobody["id"] not in world.having(languages)
    assert world.having({"id": NOBODY}) == set()
    job = world.post("jobs", {"title": "Engineer", "skills": ["node js"]})
    assert world.having(node, "jobs") == ids(job)
    assert world.having(node, "jobs", status="closed") == set()
    lines = world.client.get(
        f"{API}/talents/export", headers=world.auth, params={"skill": node["id"], "format": "jsonl"}
    )
    assert len(lines.text.splitlines()) == 3
    assert world.get("talents", skill=node["id"], q="git")["items"][0]["id"] == one["id"]
    # The texts stay as they were typed.
    assert world.get(f"talents/{one['id']}")["skills"] == ["NodeJS", "Git"]


def test_a_change_of_the_taxonomy_holds_at_once(world: World) -> None:
    who = world.person("Kubernetes集群")
    skill = world.skill("Kubernetes")
    group = world.skill("Operations", kind="group")
    assert world.having(skill) == set()
    skill = world.patch(skill, aliases=[{"language": "zh", "name": "Kubernetes 集群"}])
    assert world.having(skill) == ids(who)
    assert world.having(group) == set()
    world.patch(skill, parents=[group["id"]])
    assert world.having(group) == ids(who)
    new = world.skill("Container Platforms")
    world.patch(skill, status="retired", replaced_by=new["id"])
    assert world.having(new) == world.having(skill) == world.having(group) == ids(who)
    world.patch(skill, status="active", replaced_by=None, aliases=[])
    assert world.having(group) == world.having(new) == set()


def test_a_change_of_a_record_holds_at_once(world: World) -> None:
    skill = world.skill("Welding")
    who = world.person("Cooking")
    assert world.having(skill) == set()
    world.patch(who, kind="talents", skills=["welding"])
    assert world.having(skill) == ids(who)
    world.delete(who, kind="talents")
    assert world.having(skill) == set()
    answer = world.client.post(f"{API}/talents/{who['id']}/restore", headers=world.auth | {"If-Match": "*"})
    assert answer.status_code == 200
    assert world.having(skill) == ids(who)
    world.patch(who, kind="talents", skills=[])
    assert world.having(skill) == set()


def test_it_holds_for_what_a_sync_and_an_import_bring(
    world: World, database_urls: DatabaseUrls, tenant: str, tmp_path: Path
) -> None:
    skill = world.skill("Golang", aliases={"en": ["Go"]})
    runs = Runs(database_urls, tenant, tmp_path, target={"onMissing": "delete"})
    runs.one([person(1, skills=["go"]), person(2, skills=["Go", "SQL"]), person(3, skills=[])])
    found = {key: str(row["id"]) for key, row in runs.talents().items()}
    assert world.having(skill) == {found["p-1"], found["p-2"]}
    runs.one([person(1, skills=["SQL"], updated_at="2026-06-01T12:00:00Z"), person(3, skills=["GO"])])
    assert world.having(skill) == {found["p-3"]}
    row = b'{"full_name": "Ben", "skills": ["GOLANG"]}\n'
    answer = world.client.post(
        f"{API}/talents/import", headers=world.auth, files={"file": ("people.jsonl", row)}
    )
    assert answer.status_code == 200, answer.text
    assert world.having(skill) == {found["p-3"], answer.json()["rows"][0]["id"]}


def test_nothing_of_an_erased_person_is_left(world: World, database_urls: DatabaseUrls, tenant: str) -> None:
    who = world.person("Falconry")
    officer = bearer(tenant=tenant, roles=["admin"])

    def marks() -> int:
        with psycopg.connect(database_urls.admin) as connection:
            query = "SELECT count(*) FROM talent_sync.record_skills WHERE record_id = %s"
            row = connection.execute(query, [who["id"]]).fetchone()
        assert row is not None
        return int(row[0])

    assert marks() == 1
    gone = world.client.post(
        f"{API}/talents/{who['id']}/erasure", headers=officer, json={"reason": "request"}
    )
    assert gone.status_code == 201, gone.text
    assert marks() == 0


def test_tenants_have_taxonomies_of_their_own(
    client: TestClient[Any], world: World, other_tenant: dict[str, str]
) -> None:
    stranger = World(client, other_tenant)
    mine, theirs = world.skill("Shared Name"), stranger.skill("Shared Name", aliases={"en": ["Only Theirs"]})
    assert mine["key"] == theirs["key"]
    who, other = world.person("Only Theirs"), stranger.person("Only Theirs")
    assert stranger.having(theirs) == ids(other)
    assert world.having(mine) == set()
    assert world.having(theirs) == set()
    assert world.matches("Only Theirs") == []
    assert who["id"] != other["id"]
    errors = world.post("skills", {"name_en": "X", "parents": [theirs["id"]]}, expects=422)["errors"]
    assert [error["field"] for error in errors] == ["parents"]


def test_the_starting_taxonomy_comes_once_and_keeps_what_people_changed(world: World) -> None:
    own = world.skill("Python", name_zh="蟒蛇")
    first = world.post("skills/starter", expects=200)
    assert (first["kept"], first["refused"], first["updated"]) == (1, 0, 0)
    assert first["created"] > 250
    assert world.get(f"skills/{own['id']}")["name_zh"] == "蟒蛇"
    (java,) = world.get("skills", q="java", kind="tool", sort="key", limit=1)["items"]
    world.patch(java, name_zh="爪哇")
    again = world.post("skills/starter", expects=200)
    assert (again["created"], again["updated"], again["kept"]) == (0, 0, 2)
    assert world.get(f"skills/{java['id']}")["name_zh"] == "爪哇"
    who = world.person("K8s")
    (operations,) = world.get("skills", q="cloud-and-operations")["items"]
    assert world.having(operations) == ids(who), "by what is two levels below"
    for text, key in (("机器学习", "machine-learning"), ("ＧＯ语言", "go"), ("C/C++", None)):
        found = [one for one, match in world.matches(text) if match == "exact"]
        assert found == ([key] if key else []), text
    metrics = world.client.get("/metrics").text
    assert 'outcome="created"' in metrics


def command(urls: DatabaseUrls, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOOMA_")}
    given_settings = {"LOOMA_DATABASE_URL": urls.app, VARIABLE: ring_file()}
    return subprocess.run(
        [sys.executable, "-c", "from looma_engines.main import main; main()", "skills-import", *words],
        env={**clean, **given_settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_imports_and_tells_each_row(
    world: World, database_urls: DatabaseUrls, tenant: str, tmp_path: Path
) -> None:
    file, broader = tmp_path / "skills_en.csv", tmp_path / "broader.csv"
    file.write_text(
        "conceptType,conceptUri,skillType,preferredLabel,altLabels\n"
        f'K,{CONCEPT},knowledge,weave rushes,"plait rushes\nbraid rushes"\n'
        "K,http://data.europa.eu/esco/skill/S1.0,,weaving,\n"
        "K,,,nobody,\n"
    )
    broader.write_text(
        f"conceptType,conceptUri,broaderType,broaderUri\nK,{CONCEPT},G,http://data.europa.eu/esco/skill/S1.0\n"
    )
    words = ("--tenant", tenant, str(file), "--language", "en", "--broader", str(broader))
    trial = command(database_urls, *words, "--dry-run")
    assert trial.returncode == 1, trial.stderr
    assert "2 created, 0 updated, 0 unchanged, 0 kept, 1 refused (a trial" in trial.stdout
    assert world.matches("weaving") == []
    done = command(database_urls, *words)
    assert done.returncode == 1, done.stderr
    assert "2 esco-made-up-1 created" in done.stdout.splitlines()
    assert "- refused: conceptUri is missing" in done.stdout
    assert world.matches("Braid Rushes") == [("esco-made-up-1", "exact")]
    who = world.person("plait rushes")
    (weaving,) = world.get("skills", q="weaving")["items"]
    assert world.having(weaving) == ids(who)
    (entry,) = world.get(f"skills/{weaving['id']}/history")["items"]
    assert (entry["origin"], entry["actor"]) == ("import", None)
    again = command(database_urls, *words)
    assert "0 created, 0 updated, 2 unchanged, 0 kept, 1 refused" in again.stdout
    starter = command(database_urls, "--tenant", tenant, "--starter")
    assert starter.returncode == 0, starter.stderr
    missing = command(database_urls, "--tenant", tenant, str(tmp_path / "nowhere.csv"))
    assert missing.returncode == 1
    assert "nowhere.csv" in missing.stderr
    assert command(database_urls, str(file)).returncode == 2, "without a tenant"


@pytest.fixture(scope="module")
def connection(database_urls: DatabaseUrls) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_urls.app_libpq) as found:
        yield found


def key_of(connection: psycopg.Connection[Any], text: str) -> str:
    row = connection.execute("SELECT talent_sync.skill_key(%s)", [text]).fetchone()
    assert row is not None
    return str(row[0])


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_what_texts_are_compared_by_is_stable(connection: psycopg.Connection[Any], text: str) -> None:
    key = key_of(connection, text)
    assert key_of(connection, f" {text}. ") == key
    assert not set(key) & set(" .-_/()'\"")
    ascii_text = "".join(sign for sign in text if sign.isascii())
    wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in ascii_text)
    assert key_of(connection, wide.upper()) == key_of(connection, ascii_text)
    assert key_of(connection, ascii_text.upper()) == key_of(connection, ascii_text.lower())


def test_what_is_a_name_of_its_own_stays_apart(connection: psycopg.Connection[Any]) -> None:
    names = ["C", "C++", "C#", "R", "R&D", "Java", "JavaScript", "F#", "J++", ".NET", "Node.js", "项目管理"]
    assert len({key_of(connection, name) for name in names}) == len(names)
    for one, other in (("C♯", "C#"), ("CI/CD", "cicd"), ("项目 管理", "项目管理"), ("Ｃ＋＋", "c++")):
        assert key_of(connection, one) == key_of(connection, other)
