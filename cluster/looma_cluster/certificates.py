"""Keys and certificates of the built-in cluster, made with `cryptography`, renewed when they run out or do not fit.

`ensure_pki` makes them all in one folder; `kubeconfig` puts a client's into a kubeconfig. Three authorities, as in
any careful cluster: who signs clients of the API server must not be able to sign for etcd or for aggregated APIs.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
# An instance that is brought up at least monthly never meets an expired certificate.
RENEW_BEFORE_DAYS = 45


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate wanted: whose, for which names, signed by which authority."""

    name: str
    common_name: str
    organization: str = ""
    authority: str = "ca"
    hosts: tuple[str, ...] = ()


AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")


def leaves(*, node: str, node_address: str, service_address: str) -> tuple[Leaf, ...]:
    """Every certificate of a cluster of one node.

    Args:
        node: the node's name.
        node_address: its IPv4 address.
        service_address: the first address of the services' range, at which pods reach the API server.
    """
    client = "system:"
    return (
        Leaf(
            name="apiserver",
            common_name="kube-apiserver",
            hosts=(
                *("127.0.0.1", node_address, service_address, "localhost", node),
                *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
                "kubernetes.default.svc.cluster.local",
            ),
        ),
        Leaf(name="apiserver-kubelet-client", common_name="kube-apiserver-kubelet-client"),
        Leaf(
            name="kubelet-server",
            common_name=f"system:node:{node}",
            organization="system:nodes",
            hosts=(node, node_address, "127.0.0.1"),
        ),
        Leaf(
            name="metrics-server",
            common_name="metrics-server",
            hosts=("metrics-server.kube-system.svc", "metrics-server.kube-system"),
        ),
        Leaf(name="admin", common_name="looma-admin", organization="system:masters"),
        Leaf(name="kubelet", common_name=f"{client}node:{node}", organization="system:nodes"),
        Leaf(name="kube-controller-manager", common_name=f"{client}kube-controller-manager"),
        Leaf(name="kube-scheduler", common_name=f"{client}kube-scheduler"),
        Leaf(name="kube-proxy", common_name=f"{client}kube-proxy"),
        Leaf(name="looma-provisioner", common_name="looma:provisioner"),
        Leaf(name="front-proxy-client", common_name="front-proxy-client", authority="front-proxy-ca"),
        Leaf(name="etcd-server", common_name="etcd", authority="etcd-ca", hosts=("127.0.0.1", "localhost")),
        Leaf(name="etcd-client", common_name="kube-apiserver", authority="etcd-ca"),
    )


def ensure_pki(folder: Path, wanted: Sequence[Leaf], *, now: dt.datetime | None = None) -> list[str]:
    """Make what is missing, runs out soon, or has other names; the names of what was made.

    Args:
        folder: where NAME.crt and NAME.key are; keys are readable by their owner alone.
        wanted: the certificates.
        now: the time that counts as now.
    """
    moment = now or dt.datetime.now(dt.UTC)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made: list[str] = []
    for authority in AUTHORITIES:
        if not _fits(folder, authority, (), None, moment):
            _make_authority(folder, authority, moment)
            made.append(authority)
    for leaf in wanted:
        if not _fits(folder, leaf.name, leaf.hosts, leaf.authority, moment):
            _make_leaf(folder, leaf, moment)
            made.append(leaf.name)
    if not (folder / "service-accounts.key").exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_key(folder / "service-accounts.key", key)
        made.append("service-accounts")
    return made


def unfit(folder: Path, wanted: Sequence[Leaf], *, now: dt.datetime | None = None) -> list[str]:
    """The certificates that `ensure_pki` would make now, authorities included."""
    moment = now or dt.datetime.now(dt.UTC)
    return [
        *(name for name in AUTHORITIES if not _fits(folder, name, (), None, moment)),
        *(leaf.name for leaf in wanted if not _fits(folder, leaf.name, leaf.hosts, leaf.authority, moment)),
    ]


def certificate(folder: Path, name: str) -> x509.Certificate:
    """The certificate of that name."""
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def kubeconfig(folder: Path, *, client: str, server: str) -> str:
    """A kubeconfig, complete in itself, with which `client` reaches `server`."""

    def embedded(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "looma", "cluster": {"server": server, "certificate-authority-data": embedded("ca.crt")}}
        ],
        "users": [
            {
                "name": client,
                "user": {
                    "client-certificate-data": embedded(f"{client}.crt"),
                    "client-key-data": embedded(f"{client}.key"),
                },
            }
        ],
        "contexts": [{"name": "looma", "context": {"cluster": "looma", "user": client}}],
        "current-context": "looma",
    }
    return yaml.safe_dump(document, sort_keys=False)


def write_private(path: Path, text: str | bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    temporary.replace(path)


def _fits(folder: Path, name: str, hosts: tuple[str, ...], authority: str | None, now: dt.datetime) -> bool:
    """Whether the certificate is there, lasts, has these names, and is of this authority as it is now."""
    if not (folder / f"{name}.crt").exists() or not (folder / f"{name}.key").exists():
        return False
    present = certificate(folder, name)
    if present.not_valid_after_utc - now < dt.timedelta(days=RENEW_BEFORE_DAYS):
        return False
    if authority is None:
        return True
    try:
        present.verify_directly_issued_by(certificate(folder, authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return _hosts_of(present) == set(hosts) and _names_its_authority(present)


def _names_its_authority(present: x509.Certificate) -> bool:
    try:
        present.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return True


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    subject = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)


def _hosts_of(present: x509.Certificate) -> set[str]:
    try:
        names = present.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    }


def _make_authority(folder: Path, name: str, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"looma-{name}")])
    built = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / f"{name}.key", key)
    write_private(folder / f"{name}.crt", built.public_bytes(serialization.Encoding.PEM))


def _make_leaf(folder: Path, leaf: Leaf, now: dt.datetime) -> None:
    signer = serialization.load_pem_private_key((folder / f"{leaf.authority}.key").read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{leaf.authority}.key is not a key of ours")
    issuer = certificate(folder, leaf.authority)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.organization:
        subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if leaf.hosts:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(x509.Name(subject), issuer.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # Python 3.13 in the pods verifies strictly, and refuses a server without it.
        .add_extension(_authority_identifier(issuer), critical=False)
    )
    if leaf.hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in leaf.hosts])
        builder = builder.add_extension(names, critical=False)
    _write_key(folder / f"{leaf.name}.key", key)
    built = builder.sign(signer, hashes.SHA256())
    write_private(folder / f"{leaf.name}.crt", built.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour of grace for a machine whose clock was set back after sleep.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)
