"""`make conformance`: the Gateway API's own suite against the gateway of an instance of its own.

usage: python -m tests.conformance [--name INSTANCE] [--only TEST] [--keep]

Exit code 1 if a test fails: one that every gateway must pass, or one of what the class says that it has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import commit, machine
from conformance import echo, outcome
from looma_cluster import binaries, paths, release
from looma_cluster.builtin import facts, node
from looma_cluster.builtin.cluster import BuiltIn
from support.cluster import BIN, ROOT, Cluster, Object, instance

SECONDS = 3600
READY_SECONDS = 300
REPORT = ROOT / "docs" / "reports" / "conformance.md"


def say(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"{text}\n")


def prepare(cluster: Cluster, objects: list[Object]) -> None:
    """Let the gateway look after the suite's namespaces, as after any others, and read Secrets there."""
    namespaces = [item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"]
    rights: Object = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    for name in namespaces:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        role = {
            **rights,
            "kind": "Role",
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
        }
        binding = {
            **rights,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "certificates"},
            "subjects": [{"kind": "ServiceAccount", "name": "gateway", "namespace": cluster.namespace}],
        }
        for document in (role, binding):
            document["metadata"] = {"name": "certificates", "namespace": name}
            cluster.run(str(cluster.kubectl_path), "apply", "-f", "-", stdin=yaml.safe_dump(document))
    listed = ",".join([cluster.namespace, *namespaces])
    cluster.run(
        *(str(binaries.path("helm")), "upgrade", "looma", str(ROOT / "charts" / "looma")),
        *("--namespace", cluster.namespace, "--reuse-values", "--set", f"operator.namespaces={{{listed}}}"),
        *("--server-side=true", "--force-conflicts"),
        timeout=READY_SECONDS,
    )
    release.wait(
        kubeconfig=cluster.kubeconfig, namespace=cluster.namespace, seconds=READY_SECONDS, report=say
    )


def run_suite(cluster: Cluster, program: Path, results: Path, log: Path, only: str) -> None:
    """Run the suite within the node's network; what it says goes into `log`.

    Raises:
        RuntimeError: if it ended without results.
    """
    init = node.find_init(paths.instance(cluster.name))
    if init is None:
        raise RuntimeError(f"{cluster.name} has no node on this machine")
    with tempfile.TemporaryDirectory(prefix="looma-") as folder:
        # In the node's network the API server has another port than outside.
        known = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
        for item in known["clusters"]:
            item["cluster"]["server"] = f"https://127.0.0.1:{facts.API_PORT}"
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(known), encoding="utf-8")
        with log.open("w", encoding="utf-8") as output:
            subprocess.run(
                [
                    *("nsenter", "-t", str(init.pid), "-n", "--"),
                    *(program, "-test.v", f"-test.timeout={SECONDS}s", "-kubeconfig", kubeconfig),
                    *("-looma-namespace", cluster.namespace, "-looma-results", results, "-looma-only", only),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
    if not results.exists():
        end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"the suite ended without results; the end of {log.name}:\n{end}")


def keep(version: str, channel: str, made: list[outcome.Row]) -> None:
    """Write the report."""
    REPORT.write_text(
        "# Gateway API conformance\n\n"
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, on {machine()}.\n"
        f"Gateway API {version}, {channel} channel: its own suite's tests of Gateway, HTTPRoute and ReferenceGrant,\n"
        "by `make conformance`. Each Gateway of the suite has an address by a Service of its own, as\n"
        '[gateway.md](../gateway.md) says under "Further Gateways"; the suite\'s client is used as it is.\n\n'
        f"**{outcome.summary(made)}.**\n\n{outcome.table(made)}\n",
        encoding="utf-8",
    )


def main() -> int:
    """Bring up, run, tell, take away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="conformance", help="the instance to make; it is purged at the end")
    parser.add_argument("--only", default="", help="one test, by the suite's short name; no report is kept")
    parser.add_argument("--keep", action="store_true", help="leave the instance running")
    options = parser.parse_args()
    folder = ROOT / "test-results"
    folder.mkdir(exist_ok=True)
    results, log = folder / "conformance.json", folder / "conformance.log"
    results.unlink(missing_ok=True)
    say("building the suite, and the server that it calls")
    objects = echo.manifests()
    image = echo.archive(echo.reference(objects))
    program = echo.suite()
    try:
        command = [str(BIN / "looma"), "up", "--name", options.name, "--cluster", "builtin"]
        subprocess.run([*command, "--environment", "dev"], check=True)
        cluster = instance(options.name)
        BuiltIn(instance=paths.instance(options.name)).import_image(image, say)
        prepare(cluster, objects)
        say(f"running the suite; {log} has what it says")
        run_suite(cluster, program, results, log, options.only)
    finally:
        if not options.keep:
            subprocess.run([str(BIN / "looma"), "down", "--purge", "--name", options.name], check=True)
    found = json.loads(results.read_text(encoding="utf-8"))
    errors = outcome.first_errors(log.read_text(errors="replace").splitlines())
    made = [row for row in outcome.rows(found, errors) if options.only in ("", row.name)]
    sys.stdout.write(f"{outcome.table(made)}\n\n{outcome.summary(made)}\n")
    if not options.only:
        keep(found["version"], found["channel"], made)
        sys.stdout.write(f"kept in {REPORT.relative_to(ROOT)}\n")
    return int(any(row.result == "failed" for row in made))


if __name__ == "__main__":
    sys.exit(main())
