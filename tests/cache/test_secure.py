"""TLS with a certificate authority of one's own, a user with a password, and a cluster."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from peopleinfo.stores.cached.redis_client import open_redis
from peopleinfo.stores.cached.shared import Hit, Lease, SharedCache
from tests.http.serving import HANG_TIMEOUT
from tests.ports import free_port
from tests.valkey_servers import Server, redis_server, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHE_TF = Path(__file__).parents[2] / "iac" / "app_iac" / "cache.tf"


def rights() -> list[str]:
    """Return what the user of the cache is allowed on AWS: all that has to be, and no more."""
    (given,) = re.findall(r'cache_rights = "on (.*)"', _CACHE_TF.read_text())
    return str(given).split()


async def works(url: str, user: str = "", password: str = "") -> bool:
    """Say whether an answer can be kept by way of this URL."""
    async with open_redis(url, user=user, password=password, command_timeout=HANG_TIMEOUT) as link:
        if not await link.reconnect():
            return False
        cache = SharedCache(link, b"s" * 32, ttl=60, fence_ttl=0.001)
        if not link.is_cluster:
            await link.redis.execute_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", cache.key_prefix)
        kept: list[bytes] = []
        for name in map(str, range(30)):  # in a cluster they lie on every node
            while not isinstance(lease := await cache.read(name, ""), Lease):
                assert lease is None
                assert link.is_up
            await cache.fill(name, "", lease, name.encode())
            told = await cache.read(name, "")
            kept += [told.response] if isinstance(told, Hit) else []
            assert await cache.fence([name, "another"], b"writer")
            assert await cache.unfence([name, "another"], b"writer")
        return kept == [str(number).encode() for number in range(30)]


@pytest.fixture
def binary() -> str:
    if (found := redis_server()) is None:
        pytest.skip("needs redis-server with TLS (Debian: redis-server)")
    return found


async def test_tls_with_a_private_authority_and_a_user_with_the_least_rights(binary: str) -> None:
    with certificates() as folder:
        options = ["--tls-cert-file", f"{folder}/server.pem", "--tls-key-file", f"{folder}/server.key",
                   "--tls-ca-cert-file", f"{folder}/ca.pem", "--tls-auth-clients", "no",
                   "--user", "default", "off", "--user", "people", "on", ">secret", *rights()]  # fmt: skip
        with running_server(*options, binary=binary, tls=True) as server:
            address = f"people:secret@127.0.0.1:{server.port}"
            assert await works(f"rediss://{address}?ca={folder}/ca.pem")
            assert not await works(f"rediss://{address}"), "a certificate that nobody vouches for was accepted"
            assert not await works(f"redis://{address}"), "TLS was left out"
            # pragma: allowlist nextline secret
            assert not await works(f"rediss://people:wrong@127.0.0.1:{server.port}?ca={folder}/ca.pem")


async def test_a_user_and_a_password_beside_the_url() -> None:
    people = ["--user", "people", "on", ">secret", *rights(), "--user", "default", "off"]
    with running_server(*people) as server:
        assert await works(server.url, "people", "secret")
        assert not await works(server.url, "people", "wrong")
        assert not await works(server.url)


async def test_a_password_of_the_server_beside_the_url() -> None:
    with running_server("--requirepass", "secret") as server:
        assert await works(server.url, password="secret")
        assert not await works(server.url, password="wrong")


async def test_a_cluster() -> None:
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"]
    with ExitStack() as stack:
        buses = [free_port() for _ in range(3)]
        nodes = [stack.enter_context(running_server(*options, str(bus))) for bus in buses]
        for node, (start, end) in zip(nodes, [(0, 5460), (5461, 10922), (10923, 16383)], strict=True):
            with node.client as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", start, end)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, buses[0])
        while not all(map(is_joined, nodes)):
            pass
        assert await works(f"redis+cluster://127.0.0.1:{nodes[1].port}")


def is_joined(node: Server) -> bool:
    with node.client as client:
        told = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in told and b"cluster_slots_ok:16384" in told


@contextmanager
def certificates() -> Iterator[Path]:
    """Make an authority and a certificate of 127.0.0.1, for a day."""
    now = dt.datetime.now(dt.UTC)

    def issue(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> bytes:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
        )
        return certificate.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ca.pem").write_bytes(issue("tests", authority, "tests", authority, ca=True))
        (folder / "server.pem").write_bytes(issue("127.0.0.1", server, "tests", authority, ca=False))
        key = server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "server.key").write_bytes(key)
        yield folder
