"""Certificates: who is who, by which authority, and when a new one is made."""

from __future__ import annotations

import base64
import datetime as dt
import stat

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from looma_cluster import certificates
from looma_cluster.certificates import Leaf, certificate, ensure_pki, leaves, unfit

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def wanted(address="10.213.0.2"):
    return leaves(node="looma", node_address=address, service_address="10.96.0.1")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state") / "pki"
    ensure_pki(folder, wanted(), now=NOW)
    return folder


def test_each_certificate_is_of_its_authority(pki):
    for leaf in wanted():
        certificate(pki, leaf.name).verify_directly_issued_by(certificate(pki, leaf.authority))


def test_the_kubelet_is_a_node_and_nothing_more(pki):
    subject = certificate(pki, "kubelet").subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:looma"


def test_one_administrator_and_no_more(pki):
    masters = [leaf.name for leaf in wanted() if leaf.organization == "system:masters"]
    assert masters == ["admin"]


def test_who_signs_for_etcd_cannot_sign_for_the_cluster(pki):
    with pytest.raises(ValueError, match="Issuer"):
        certificate(pki, "etcd-client").verify_directly_issued_by(certificate(pki, "ca"))


def test_keys_are_their_owners_alone(pki):
    assert {stat.S_IMODE(file.stat().st_mode) for file in pki.glob("*.key")} == {0o600}
    assert stat.S_IMODE(pki.stat().st_mode) == 0o700


def test_what_fits_is_left_alone(pki):
    before = {file.name: file.read_bytes() for file in pki.iterdir()}
    assert ensure_pki(pki, wanted(), now=NOW + dt.timedelta(days=300)) == []
    assert {file.name: file.read_bytes() for file in pki.iterdir()} == before


def test_what_runs_out_soon_is_renewed(pki):
    late = NOW + dt.timedelta(days=certificates.LEAF_DAYS - certificates.RENEW_BEFORE_DAYS + 1)
    names = unfit(pki, wanted(), now=late)
    assert set(names) == {leaf.name for leaf in wanted()}


def test_another_address_means_another_certificate(pki):
    assert unfit(pki, wanted("10.213.9.9"), now=NOW) == ["apiserver", "kubelet-server"]


def test_a_new_authority_renews_what_it_signs(tmp_path):
    ensure_pki(tmp_path, wanted(), now=NOW)
    (tmp_path / "etcd-ca.crt").unlink()
    assert set(ensure_pki(tmp_path, wanted(), now=NOW)) == {"etcd-ca", "etcd-server", "etcd-client"}


def test_a_client_certificate_serves_nobody(pki):
    usage = certificate(pki, "kube-scheduler").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_kubeconfig_needs_no_other_file(pki):
    text = certificates.kubeconfig(pki, client="admin", server="https://127.0.0.1:6443")
    user = yaml.safe_load(text)["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]) == (pki / "admin.key").read_bytes()


def test_a_private_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    certificates.write_private(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_leaf_without_hosts_has_no_names(tmp_path):
    ensure_pki(tmp_path, [Leaf(name="one", common_name="one")], now=NOW)
    assert unfit(tmp_path, [Leaf(name="one", common_name="one", hosts=("a",))], now=NOW) == ["one"]
