"""The chart's objects, read: rights, levels, names, what each value does. No server is needed, only helm."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cryptography import x509

from looma_cluster import chartfile, paths
from looma_cluster.builtin import facts
from looma_core.claims import ClaimNames
from looma_core.key_sets import addresses
from looma_core.settings import CoreSettings, load
from looma_engines.gateway.settings import GatewaySettings
from looma_engines.gateway.translate.addresses import HTTP, HTTPS, own
from looma_engines.gateway.translate.index import index
from looma_operator import rbac, webhooks, webhooks_sync
from looma_operator.render.common import selector
from looma_operator.resources import AIService
from support.chart import CHART, ENVIRONMENTS, Object, pick, pod_specs, render
from support.gateway_world import snapshot

pytestmark = pytest.mark.control_plane


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    return render(tmp_path_factory.mktemp("dev"), environment="dev")


def secret(objects: list[Object], name: str) -> dict[str, str]:
    data = pick(objects, "Secret", name)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def settings_of(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def normal(rules: list[dict[str, list[str]]]) -> list[dict[str, list[str]]]:
    """Rules without regard to the order in which anything is written."""
    sorted_rules = [{key: sorted(values) for key, values in rule.items()} for rule in rules]
    return sorted(sorted_rules, key=lambda rule: (rule["apiGroups"], rule["resources"], rule["verbs"]))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_right_has_a_wildcard(environment: str, tmp_path: Path) -> None:
    for found in render(tmp_path, environment=environment):
        if found["kind"] in {"Role", "ClusterRole"}:
            for rule in found["rules"]:
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], found["metadata"][
                    "name"
                ]


def test_the_operator_has_just_the_rights_that_it_says_it_needs(dev: list[Object]) -> None:
    held = pick(dev, "Role", "looma-operator")["rules"] + pick(dev, "Role", "looma-operator-leader")["rules"]
    assert normal(held) == normal([rule.to_json() for rule in rbac.OPERATOR_RULES])
    listed = pick(dev, "ClusterRole", "looma-operator-nodes-looma")["rules"]
    assert normal(listed) == normal([rule.to_json() for rule in rbac.NODES_RULES])


def test_the_definitions_job_has_just_the_rights_that_it_says_it_needs(dev: list[Object]) -> None:
    held = pick(dev, "ClusterRole", "looma-definitions-looma")["rules"]
    assert normal(held) == normal([rule.to_json() for rule in rbac.DEFINITIONS_RULES])


def test_the_gateway_has_just_the_rights_that_the_operator_says_it_needs(dev: list[Object]) -> None:
    held = pick(dev, "Role", "looma-gateway")["rules"]
    assert normal(held) == normal([rule.to_json() for rule in rbac.GATEWAY_RULES])
    classes = pick(dev, "ClusterRole", "looma-gateway-looma")["rules"]
    assert normal(classes) == normal([rule.to_json() for rule in rbac.GATEWAY_CLUSTER_RULES])
    account = [{"kind": "ServiceAccount", "name": "gateway", "namespace": "looma"}]
    assert pick(dev, "RoleBinding", "looma-gateway")["subjects"] == account
    assert pick(dev, "ClusterRoleBinding", "looma-gateway-looma")["subjects"] == account


def test_only_four_things_have_rights_beyond_their_namespace(dev: list[Object], tmp_path: Path) -> None:
    def beyond(objects: list[Object]) -> set[str]:
        return {found["metadata"]["name"] for found in objects if found["kind"] == "ClusterRole"}

    nodes = "looma-operator-nodes-looma"
    assert beyond(dev) == {"looma-definitions-looma", "looma-console-looma", "looma-gateway-looma", nodes}
    without = render(tmp_path, environment="dev", settings={"operator": {"readNodes": False}})
    assert beyond(without) == beyond(dev) - {nodes}
    assert not [found for found in without if found["metadata"]["name"] == nodes]


def test_the_console_may_be_nobody_but_its_user_in_the_three_groups(dev: list[Object]) -> None:
    rules = {rule["resources"][0]: rule for rule in pick(dev, "ClusterRole", "looma-console-looma")["rules"]}
    assert {rule["verbs"][0] for rule in rules.values()} == {"impersonate"}
    assert rules["users"]["resourceNames"] == ["looma:console"]
    assert rules["groups"]["resourceNames"] == ["looma:recruiter", "looma:operator", "looma:admin"]
    assert set(rules) == {"users", "groups", "userextras/person"}


def test_a_recruiter_has_no_right_on_kubernetes_objects(dev: list[Object]) -> None:
    bound = [
        s["name"] for f in dev if f["kind"] == "RoleBinding" for s in f["subjects"] if s["kind"] == "Group"
    ]
    assert sorted(set(bound)) == ["looma:admin", "looma:operator"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_container_is_held_to_the_restricted_level_and_more(environment: str, tmp_path: Path) -> None:
    specs = pod_specs(render(tmp_path, environment=environment))
    assert len(specs) >= 3
    for name, spec in specs.items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] == 65532, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"]["cpu"], name
            assert container["resources"]["limits"]["memory"], name
            assert container["imagePullPolicy"] == "IfNotPresent", name


def test_only_those_who_call_the_api_server_have_a_token(dev: list[Object]) -> None:
    with_token = {
        name for name, spec in pod_specs(dev).items() if spec.get("automountServiceAccountToken") is not False
    }
    assert with_token == {
        *("Deployment/looma-operator", "Deployment/looma-console", "Deployment/looma-prometheus"),
        "Job/looma-definitions",
    }


def test_the_webhooks_point_at_the_operators_handlers_and_never_stop_anybody(dev: list[Object]) -> None:
    handlers = {"aiservices": webhooks.ADMIT_SERVICE, "syncjobs": webhooks_sync.ADMIT_SYNC_JOB}
    configuration = pick(dev, "MutatingWebhookConfiguration", "looma-looma")
    found = {item["rules"][0]["resources"][0]: item for item in configuration["webhooks"]}
    assert set(found) == set(handlers)
    certificate = pick(dev, "Secret", "looma-webhook")["data"]["tls.crt"]
    for plural, webhook in found.items():
        assert webhook["clientConfig"]["service"]["path"] == f"/{handlers[plural]}"
        assert webhook["failurePolicy"] == "Ignore"
        # The object is checked as it is stored, whatever other webhooks make of it.
        assert webhook["reinvocationPolicy"] == "IfNeeded"
        assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["looma"]
        assert webhook["clientConfig"]["caBundle"] == certificate


def test_sync_workers_run_the_engines_image(dev: list[Object]) -> None:
    specs = pod_specs(dev)
    operator = settings_of(specs["Deployment/looma-operator"]["containers"][0])
    migrate = next(spec for name, spec in specs.items() if name.startswith("Job/looma-migrate"))
    assert operator["LOOMA_SYNC_IMAGE"] == migrate["containers"][0]["image"]


def test_several_namespaces_each_have_their_role(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"operator": {"namespaces": ["one", "two"]}})
    roles = [f["metadata"].get("namespace") for f in objects if f["metadata"]["name"] == "looma-operator"]
    assert roles.count("one") == roles.count("two") == 2
    container = pod_specs(objects)["Deployment/looma-operator"]["containers"][0]
    assert settings_of(container)["LOOMA_NAMESPACES"] == "one,two"


def test_the_gateway_serves_the_operators_namespaces_and_its_own(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"operator": {"namespaces": ["one"]}})
    roles = [
        f["metadata"]["namespace"]
        for f in objects
        if f["metadata"]["name"] == "looma-gateway" and f["kind"] == "Role"
    ]
    assert roles == ["looma", "one"]
    (controller,) = pick(objects, "AIService", "gateway")["spec"]["podTemplate"]["spec"]["containers"]
    assert (controller["name"], settings_of(controller)) == ("controller", {"LOOMA_NAMESPACES": "looma,one"})
    (listener,) = pick(objects, "Gateway", "looma")["spec"]["listeners"]
    (wanted,) = listener["allowedRoutes"]["namespaces"]["selector"]["matchExpressions"]
    assert wanted == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["looma", "one"]}


def test_an_address_of_a_further_gateway_is_one_to_the_gateway(tmp_path: Path) -> None:
    shop = {
        "gateway": "shop/public",
        "type": "LoadBalancer",
        "annotations": {"example.org/pool": "a"},
        "ports": [{"port": 80, "targetPort": 20080}, {"port": 443, "targetPort": 20443, "nodePort": None}],
    }
    settings = {
        "operator": {"namespaces": ["looma", "shop"]},
        "gateway": {"addresses": {"shop-gateway": shop}, "service": {"externalTrafficPolicy": "Local"}},
    }
    objects = render(tmp_path, settings=settings)
    found = pick(objects, "Service", "shop-gateway")
    assert found["metadata"]["annotations"]["example.org/pool"] == "a"
    assert (found["spec"]["type"], found["spec"]["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    # The pods that the operator makes of the AIService.
    service = msgspec.convert(pick(objects, "AIService", "gateway"), AIService, strict=False)
    assert found["spec"]["selector"] == selector(service)
    # And what the gateway reads in it, in the namespace that Helm gives it.
    read = {**found, "metadata": {**found["metadata"], "namespace": "looma"}}
    (address,) = own(index(snapshot(read)), "looma").items()
    assert (address[0], address[1].ports[80, HTTP], address[1].ports[443, HTTPS]) == (
        ("shop", "public"),
        20080,
        20443,
    )


def test_a_gateway_reads_its_certificate_where_that_is_and_no_other_secret(tmp_path: Path) -> None:
    settings = {"operator": {"namespaces": ["one"]}, "gateway": {"tls": {"secret": "mine"}}}
    objects = render(tmp_path, settings=settings)
    secrets = {
        found["metadata"]["namespace"]: rule
        for found in objects
        if found["kind"] == "Role" and found["metadata"]["name"] == "looma-gateway"
        for rule in found["rules"]
        if "secrets" in rule["resources"]
    }
    assert secrets == {
        "looma": {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get"]}
    }


def test_the_address_leads_through_the_gateway_to_the_console(dev: list[Object]) -> None:
    service = pick(dev, "Service", "looma-gateway")["spec"]
    assert service["type"] == "NodePort"
    assert {port["name"]: (port["port"], port["nodePort"]) for port in service["ports"]} == {
        "http": (80, facts.GATEWAY_NODE_PORT),
        "https": (443, 30443),
    }
    made = msgspec.convert(pick(dev, "AIService", "gateway"), AIService, strict=False)
    assert service["selector"] == selector(made)
    gateway = pick(dev, "Gateway", "looma")["spec"]
    assert gateway["gatewayClassName"] == pick(dev, "GatewayClass", "looma")["metadata"]["name"]
    assert pick(dev, "GatewayClass", "looma")["spec"]["controllerName"] == "looma.dev/gateway"
    listeners = {one["name"]: (one["port"], one["protocol"]) for one in gateway["listeners"]}
    assert listeners == {"http": (80, "HTTP"), "https": (443, "HTTPS")}
    route = pick(dev, "HTTPRoute", "looma-console")["spec"]
    (rule,) = route["rules"]
    assert route["parentRefs"] == [{"name": "looma"}]
    assert rule["backendRefs"] == [{"name": "looma-console", "port": 80}]
    assert pick(dev, "Service", "looma-console")["spec"]["type"] == "ClusterIP"
    console = pod_specs(dev)["Deployment/looma-console"]["containers"][0]
    assert settings_of(console)["LOOMA_TRUSTED_PROXIES"] == "1"


def test_engines_call_each_other_through_the_gateway_and_ask_the_console_for_keys(dev: list[Object]) -> None:
    data = pick(dev, "ConfigMap", "looma-engines")["data"]
    assert data["LOOMA_API_URL"] == "http://looma-gateway.looma.svc"
    assert data["LOOMA_JWKS_URL"] == "http://looma-console.looma.svc/.well-known/jwks.json"


def test_an_issuer_of_ones_own_holds_for_gateway_engines_and_console_alike(tmp_path: Path) -> None:
    tokens = {
        "issuer": "https://sso.example.org/realms/people",
        "audience": "people-api",
        "jwksUrl": "https://sso.example.org/realms/people/jwks",
        "tenantClaim": "organisation",
        "rolesClaim": "realm_access.roles",
    }
    objects = render(tmp_path, settings={"tokens": tokens})
    data = pick(objects, "ConfigMap", "looma-engines")["data"]
    # What every process makes of it, by its own rules for settings.
    for kind in (GatewaySettings, CoreSettings):
        settings = load(kind, data)
        assert (settings.jwt_issuer, settings.jwt_audience) == (tokens["issuer"], tokens["audience"])
        assert settings.claim_names() == ClaimNames(tenant="organisation", roles="realm_access.roles")
        # The console signs by itself what it asks for people.
        assert addresses(settings.jwks_url) == [
            tokens["jwksUrl"],
            "http://looma-console.looma.svc/.well-known/jwks.json",
        ]
    console = pod_specs(objects)["Deployment/looma-console"]["containers"][0]
    assert {"configMapRef": {"name": "looma-engines"}} in console["envFrom"]


def test_without_a_certificate_there_is_no_https(tmp_path: Path) -> None:
    objects = render(tmp_path)
    assert [one["name"] for one in pick(objects, "Gateway", "looma")["spec"]["listeners"]] == ["http"]
    assert [one["name"] for one in pick(objects, "Service", "looma-gateway")["spec"]["ports"]] == ["http"]


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_host_without_tls_is_sent_on_to_the_one_with(environment: str, tmp_path: Path) -> None:
    objects = render(tmp_path, environment=environment)
    route = pick(objects, "HTTPRoute", "looma-https")["spec"]
    (https,) = [
        one for one in pick(objects, "Gateway", "looma")["spec"]["listeners"] if one["name"] == "https"
    ]
    assert route["hostnames"] == [https["hostname"]]
    assert route["parentRefs"] == [{"name": "looma", "sectionName": "http"}]
    assert route["rules"][0]["filters"][0]["requestRedirect"] == {"scheme": "https", "statusCode": 301}
    # A host name on the listener without TLS would shut out whoever calls from inside of the cluster.
    assert "hostname" not in pick(objects, "Gateway", "looma")["spec"]["listeners"][0]


def test_the_self_signed_certificate_is_for_loopback_and_the_service(dev: list[Object]) -> None:
    certificate = x509.load_pem_x509_certificate(secret(dev, "looma-gateway-tls")["tls.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "looma-gateway.looma.svc"} <= set(names.get_values_for_type(x509.DNSName))
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_second_release_leaves_the_class_to_the_first(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"gateway": {"class": {"create": False}}})
    assert not [found for found in objects if found["kind"] == "GatewayClass"]
    assert pick(objects, "Gateway", "looma")["spec"]["gatewayClassName"] == "looma"


OTHERS = {"className": "cilium", "url": "http://gateway.infra.svc"}


def test_another_implementation_serves_the_same_routes_without_pods_of_ours(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"gateway": OTHERS})
    assert pick(objects, "Gateway", "looma")["spec"]["gatewayClassName"] == "cilium"
    pick(objects, "HTTPRoute", "looma-console")
    assert {f["metadata"]["name"] for f in objects if f["kind"] == "AIService"} == {"resume", "talent-sync"}
    left = {(f["kind"], f["metadata"]["name"]) for f in objects}
    for ours in (("GatewayClass", "looma"), ("Service", "looma-gateway"), ("Role", "looma-gateway")):
        assert ours not in left
    assert pick(objects, "ConfigMap", "looma-engines")["data"]["LOOMA_API_URL"] == OTHERS["url"]


def test_routes_attach_to_a_gateway_of_another_namespace(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"gateway": {**OTHERS, "namespace": "infra", "name": "shared"}})
    assert not [found for found in objects if found["kind"] == "Gateway"]
    parent = {"name": "shared", "namespace": "infra"}
    assert pick(objects, "HTTPRoute", "looma-console")["spec"]["parentRefs"] == [parent]
    operator = settings_of(pod_specs(objects)["Deployment/looma-operator"]["containers"][0])
    assert (operator["LOOMA_GATEWAY_NAME"], operator["LOOMA_GATEWAY_NAMESPACE"]) == ("shared", "infra")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_without_gateway_api_all_but_its_objects_is_there(environment: str, tmp_path: Path) -> None:
    def names(*, gateway_api: bool) -> set[tuple[str, str]]:
        objects = render(tmp_path, environment=environment, gateway_api=gateway_api)
        return {
            (f["kind"], f["metadata"]["name"])
            for f in objects
            if not f["metadata"]["name"].startswith("looma-migrate")
        }

    all_names, without = names(gateway_api=True), names(gateway_api=False)
    assert {kind for kind, _ in all_names - without} == {"Gateway", "GatewayClass", "HTTPRoute"}
    assert without <= all_names


def test_urls_and_passwords_agree(dev: list[Object]) -> None:
    database, engines = secret(dev, "looma-postgres"), secret(dev, "looma-engines")
    host = "looma-postgres.looma.svc:5432/looma?sslmode=require"
    assert database["owner-url"] == f"postgresql+psycopg://looma_owner:{database['owner-password']}@{host}"
    assert (
        engines["LOOMA_DATABASE_URL"] == f"postgresql+psycopg://looma_app:{database['app-password']}@{host}"
    )
    assert database["owner-password"] != database["app-password"]


def test_the_file_key_is_a_fernet_key(dev: list[Object]) -> None:
    from cryptography.fernet import Fernet

    key = secret(dev, "looma-engines")["LOOMA_FILE_KEYS"]
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"


def test_the_key_ring_seals_and_opens(dev: list[Object]) -> None:
    from looma_engines.talent_sync.privacy.ring import parse
    from looma_engines.talent_sync.privacy.sealing import Place, Sealer

    sealer = Sealer(parse(secret(dev, "looma-key-ring")["ring.json"].encode()))
    place = Place("demo", "talent", "1", "email")
    assert sealer.open(sealer.seal("ada@mail.example", place), place) == "ada@mail.example"


def test_what_is_not_sealed_yet_is_sealed_each_night(dev: list[Object]) -> None:
    pod = pod_specs(dev)["CronJob/looma-reseal"]
    (container,) = pod["containers"]
    assert container["command"][1:] == ["records-reseal"]
    migrate = next(spec for name, spec in pod_specs(dev).items() if name.startswith("Job/looma-migrate-"))
    told = settings_of(container)
    assert (
        told["LOOMA_OWNER_DATABASE_URL"] == settings_of(migrate["containers"][0])["LOOMA_OWNER_DATABASE_URL"]
    )
    mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "key-ring")
    assert told["LOOMA_KEY_RING_FILE"] == f"{mount['mountPath']}/ring.json"
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "key-ring"]
    assert volume["secret"]["secretName"] == "looma-key-ring"


def test_the_ledgers_key_is_long_and_the_upkeep_has_it(dev: list[Object]) -> None:
    from looma_engines.talent_sync.rights.ledger import LedgerKey

    assert LedgerKey(secret(dev, "looma-engines")["LOOMA_LEDGER_KEY"]).id
    (migrate,) = [spec for name, spec in pod_specs(dev).items() if name == "CronJob/looma-upkeep"]
    named = {entry["name"]: entry for entry in migrate["containers"][0]["env"]}
    assert named["LOOMA_DELETED_DAYS"]["value"] == "30"
    assert (named["LOOMA_WRITES_DAYS"]["value"], named["LOOMA_UNLINKED_DAYS"]["value"]) == ("90", "180")
    assert named["LOOMA_LEDGER_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "looma-engines"


def test_the_upkeep_opens_what_is_sealed(dev: list[Object]) -> None:
    for name in ("CronJob/looma-upkeep", "CronJob/looma-reseal"):
        pod = pod_specs(dev)[name]
        (container,) = pod["containers"]
        mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "key-ring")
        assert settings_of(container)["LOOMA_KEY_RING_FILE"] == f"{mount['mountPath']}/ring.json"
        assert mount["readOnly"] is True
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "key-ring"]
        assert volume["secret"]["secretName"] == "looma-key-ring"


def test_the_issuers_key_signs_rs256(dev: list[Object]) -> None:
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key = RSAKey.import_key(secret(dev, "looma-issuer")["private.pem"])
    assert jwt.decode(jwt.encode({"alg": "RS256"}, {"sub": "a"}, key), key).claims == {"sub": "a"}


def test_secrets_with_data_behind_them_outlive_the_release(dev: list[Object]) -> None:
    names = (
        "looma-postgres",
        "looma-engines",
        "looma-console",
        "looma-issuer",
        "looma-backup",
        "looma-key-ring",
    )
    for name in names:
        assert pick(dev, "Secret", name)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_secrets_can_be_somebody_elses(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"secrets": {"create": False}})
    names = {found["metadata"]["name"] for found in objects if found["kind"] == "Secret"}
    assert names == {"looma-webhook", "looma-postgres-tls"}


def test_an_external_database_replaces_the_own_one(tmp_path: Path) -> None:
    urls = {"url": "postgresql+psycopg://a:b@db/c", "ownerUrl": "postgresql+psycopg://o:b@db/c"}
    objects = render(tmp_path, settings={"postgres": urls})
    assert [found for found in objects if found["kind"] == "StatefulSet"] == []
    assert secret(objects, "looma-engines")["LOOMA_DATABASE_URL"] == urls["url"]
    assert secret(objects, "looma-postgres") == {"owner-url": urls["ownerUrl"]}


def test_a_database_from_a_secret_reaches_every_pod(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"postgres": {"existingSecret": "db"}})
    app = {"secretKeyRef": {"name": "db", "key": "url"}}
    console = pod_specs(objects)["Deployment/looma-console"]["containers"][0]
    assert settings_of(console)["LOOMA_DATABASE_URL"] == app
    migrate = next(spec for name, spec in pod_specs(objects).items() if name.startswith("Job/looma-migrate-"))
    owner = {"secretKeyRef": {"name": "db", "key": "owner-url"}}
    assert settings_of(migrate["containers"][0])["LOOMA_OWNER_DATABASE_URL"] == owner
    for found in objects:
        if found["kind"] == "AIService" and found["spec"]["engine"] != "gateway":
            (engine,) = found["spec"]["podTemplate"]["spec"]["containers"]
            assert settings_of(engine)["LOOMA_DATABASE_URL"] == app
    # The gateway has no business with the database.
    assert "podTemplate" not in pick(objects, "AIService", "gateway")["spec"]


def test_images_have_one_registry_and_a_tag_each(tmp_path: Path) -> None:
    image = {"registry": "host.test/looma", "tag": "all", "tags": {"engine": "e1"}}
    objects = render(tmp_path, settings={"image": image})
    used = {c["image"] for spec in pod_specs(objects).values() for c in spec["containers"]}
    used |= {found["spec"]["image"] for found in objects if found["kind"] == "AIService"}
    assert used == {
        *("host.test/looma/looma-engine:e1", "host.test/looma/looma-operator:all"),
        *("host.test/looma/looma-console:all", "host.test/looma/looma-postgres:all"),
        "host.test/looma/looma-gateway:all",
    }


def test_a_new_engine_image_is_a_new_migration(tmp_path: Path) -> None:
    def name(tag: str) -> str:
        objects = render(tmp_path, settings={"image": {"tags": {"engine": tag}}})
        return next(n for n in pod_specs(objects) if n.startswith("Job/looma-migrate-"))

    assert name("1") == name("1")
    assert name("1") != name("2")


def test_upkeep_is_the_migration_once_more_each_day(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"postgres": {"historyMonths": 12}})
    specs = pod_specs(objects)
    migrate = next(spec for name, spec in specs.items() if name.startswith("Job/looma-migrate-"))
    assert specs["CronJob/looma-upkeep"] == migrate
    assert settings_of(migrate["containers"][0])["LOOMA_HISTORY_MONTHS"] == "12"
    upkeep = pick(objects, "CronJob", "looma-upkeep")["spec"]
    job = next(
        o for o in objects if o["kind"] == "Job" and o["metadata"]["name"].startswith("looma-migrate-")
    )
    assert upkeep["jobTemplate"]["spec"]["template"]["metadata"] == job["spec"]["template"]["metadata"]
    assert upkeep["concurrencyPolicy"] == "Forbid"


def test_backups_are_taken_beside_the_database_and_a_restore_is_never_due(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"postgres": {"backup": {"fullSchedule": "@weekly", "keep": 5}}})
    full = pick(objects, "CronJob", "looma-backup-full")["spec"]
    assert (full["schedule"], full["suspend"]) == ("@weekly", False)
    assert pick(objects, "CronJob", "looma-restore")["spec"]["suspend"] is True
    specs = pod_specs(objects)
    # A restore has the data folder itself, a backup never has.
    claims = {
        name: {
            v["persistentVolumeClaim"]["claimName"]
            for v in specs[name]["volumes"]
            if "persistentVolumeClaim" in v
        }
        for name in ("CronJob/looma-backup-full", "CronJob/looma-backup-incremental", "CronJob/looma-restore")
    }
    assert claims.pop("CronJob/looma-restore") == {"looma-backup", "data-looma-postgres-0"}
    assert all(found == {"looma-backup"} for found in claims.values())
    settings = pick(objects, "ConfigMap", "looma-backup")["data"]
    for name in ("local.conf", "beside.conf"):
        assert "repo1-retention-full=5\n" in settings[name]
        assert "repo1-cipher-type=aes-256-cbc\n" in settings[name]
    assert "archive_mode = on" in pick(objects, "ConfigMap", "looma-postgres")["data"]["postgresql.conf"]
    assert pick(objects, "PersistentVolumeClaim", "looma-backup")["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep"
    }


def test_backups_into_a_bucket_have_no_volume_and_its_keys_from_a_secret(tmp_path: Path) -> None:
    bucket = {"bucket": "b", "endpoint": "s3.example.org", "region": "eu", "secret": "bucket-keys"}
    objects = render(tmp_path, settings={"postgres": {"backup": {"s3": bucket}}})
    settings = pick(objects, "ConfigMap", "looma-backup")["data"]["beside.conf"]
    assert "repo1-type=s3\n" in settings
    assert "repo1-path=/looma\n" in settings
    claims = [found["metadata"]["name"] for found in objects if found["kind"] == "PersistentVolumeClaim"]
    assert "looma-backup" not in claims
    (container,) = pod_specs(objects)["CronJob/looma-backup-full"]["containers"]
    key = settings_of(container)["PGBACKREST_REPO1_S3_KEY_SECRET"]
    assert key == {"secretKeyRef": {"name": "bucket-keys", "key": "secret-key"}}


@pytest.mark.parametrize("settings", [{"backup": {"enabled": False}}, {"existingSecret": "db"}])
def test_without_backups_nothing_of_them_is_left(tmp_path: Path, settings: dict[str, object]) -> None:
    objects = render(tmp_path, settings={"postgres": settings})
    assert not [found for found in objects if "backup" in found["metadata"]["name"]]
    assert not [found for found in objects if found["metadata"]["name"] == "looma-restore"]
    for found in objects:
        if found["kind"] == "StatefulSet" and found["metadata"]["name"] == "looma-postgres":
            assert len(found["spec"]["template"]["spec"]["containers"]) == 1
            assert (
                "archive_mode" not in pick(objects, "ConfigMap", "looma-postgres")["data"]["postgresql.conf"]
            )


def test_duplicates_are_looked_for_each_night_with_the_keys_of_the_engines(tmp_path: Path) -> None:
    objects = render(tmp_path)
    (container,) = pod_specs(objects)["CronJob/looma-duplicates"]["containers"]
    assert container["args"] == ["records-duplicates"]
    secrets = {
        variable["name"]: variable["valueFrom"]["secretKeyRef"]
        for variable in container["env"]
        if "valueFrom" in variable
    }
    assert secrets == {
        "LOOMA_DATABASE_URL": {"name": "looma-engines", "key": "LOOMA_DATABASE_URL"},
        "LOOMA_OWNER_DATABASE_URL": {"name": "looma-postgres", "key": "owner-url"},
        "LOOMA_FILE_KEYS": {"name": "looma-engines", "key": "LOOMA_FILE_KEYS"},
    }
    assert pick(objects, "CronJob", "looma-duplicates")["spec"]["concurrencyPolicy"] == "Forbid"


def test_demonstration_data_is_for_dev_alone(tmp_path: Path) -> None:
    with_demo = {
        environment
        for environment in ENVIRONMENTS
        for name in pod_specs(render(tmp_path, environment=environment))
        if name.startswith("Job/looma-demo-")
    }
    assert with_demo == {"dev"}


def test_a_service_can_be_left_out_and_another_be_added(tmp_path: Path) -> None:
    mine = {"spec": {"engine": "custom", "image": "host.test/mine:1"}}
    objects = render(tmp_path, settings={"engines": {"services": {"resume": None, "mine": mine}}})
    services = {f["metadata"]["name"]: f["spec"] for f in objects if f["kind"] == "AIService"}
    assert set(services) == {"gateway", "mine", "talent-sync"}
    assert services["mine"] == mine["spec"]


def test_the_namespace_file_is_for_the_namespace_of_the_chartfile() -> None:
    namespace = yaml.safe_load((CHART / "namespace.yaml").read_text())
    assert namespace["metadata"]["name"] == chartfile.read(paths.ROOT, "dev").namespace
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_says_that_it_is_loomas(environment: str, tmp_path: Path) -> None:
    for found in render(tmp_path, environment=environment):
        assert found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "looma", found["metadata"]["name"]
