"""TLS with a private certificate authority, a user with a password, and a cluster."""

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


def permissions() -> list[str]:
    """Return the ACL of the cache user on AWS: the minimal permissions."""
    (acl,) = re.findall(r'cache_rights = "on (.*)"', _CACHE_TF.read_text())
    return str(acl).split()


async def stores_responses(url: str, user: str = "", password: str = "") -> bool:
    """Return whether the cache at this URL stores responses."""
    async with open_redis(url, user=user, password=password, command_timeout=HANG_TIMEOUT) as client:
        if not await client.reconnect():
            return False
        cache = SharedCache(client, b"s" * 32, ttl=60, fence_ttl=0.001)
        if not client.is_cluster:
            await client.redis.execute_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", cache.key_prefix)
        responses: list[bytes] = []
        for name in map(str, range(30)):  # spread over all nodes of a cluster
            while not isinstance(lease := await cache.read(name, ""), Lease):
                assert lease is None
                assert client.is_up
            await cache.fill(name, "", lease, name.encode())
            reply = await cache.read(name, "")
            responses += [reply.response] if isinstance(reply, Hit) else []
            assert await cache.fence([name, "another"], b"writer")
            assert await cache.unfence([name, "another"], b"writer")
        return responses == [str(number).encode() for number in range(30)]


@pytest.fixture
def binary() -> str:
    if (found := redis_server()) is None:
        pytest.skip("needs redis-server with TLS (Debian: redis-server)")
    return found


async def test_tls_with_a_private_authority_and_minimal_permissions(binary: str) -> None:
    with certificates() as directory:
        options = ["--tls-cert-file", f"{directory}/server.pem", "--tls-key-file", f"{directory}/server.key",
                   "--tls-ca-cert-file", f"{directory}/ca.pem", "--tls-auth-clients", "no",
                   "--user", "default", "off", "--user", "people", "on", ">secret", *permissions()]  # fmt: skip
        with running_server(*options, binary=binary, tls=True) as server:
            address = f"people:secret@127.0.0.1:{server.port}"
            assert await stores_responses(f"rediss://{address}?ca={directory}/ca.pem")
            assert not await stores_responses(f"rediss://{address}"), "an untrusted certificate was accepted"
            assert not await stores_responses(f"redis://{address}"), "a connection without TLS was accepted"
            # pragma: allowlist nextline secret
            assert not await stores_responses(f"rediss://people:wrong@127.0.0.1:{server.port}?ca={directory}/ca.pem")


async def test_user_and_password_are_accepted_outside_the_url() -> None:
    people = ["--user", "people", "on", ">secret", *permissions(), "--user", "default", "off"]
    with running_server(*people) as server:
        assert await stores_responses(server.url, "people", "secret")
        assert not await stores_responses(server.url, "people", "wrong")
        assert not await stores_responses(server.url)


async def test_server_password_is_accepted_outside_the_url() -> None:
    with running_server("--requirepass", "secret") as server:
        assert await stores_responses(server.url, password="secret")
        assert not await stores_responses(server.url, password="wrong")


async def test_cluster_stores_responses() -> None:
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
        assert await stores_responses(f"redis+cluster://127.0.0.1:{nodes[1].port}")


def is_joined(node: Server) -> bool:
    with node.client as client:
        reply = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in reply and b"cluster_slots_ok:16384" in reply


@contextmanager
def certificates() -> Iterator[Path]:
    """Create a certificate authority and a certificate for 127.0.0.1, valid for a day."""
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
        directory = Path(name)
        (directory / "ca.pem").write_bytes(issue("tests", authority, "tests", authority, ca=True))
        (directory / "server.pem").write_bytes(issue("127.0.0.1", server, "tests", authority, ca=False))
        key = server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / "server.key").write_bytes(key)
        yield directory
