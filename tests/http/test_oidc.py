"""OpenID Connect tokens: valid tokens, and all known attacks on such tokens. The provider is a real HTTP server."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.auth import oidc
from peopleinfo.auth import provider as provider_documents
from peopleinfo.auth.oidc import OidcTokenVerifier
from peopleinfo.auth.principal import Scope
from peopleinfo.errors import NotAuthenticated
from peopleinfo.http.openapi.operations import OPERATIONS
from tests.http.serving import HANG_TIMEOUT, serving
from tests.http.test_authentication import NOT_AUTHENTICATED, bearer, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store_kinds import MonotonicClock

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # an attacker ignores it
AUDIENCE = "people-api"
PROVIDER_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = rsa.generate_private_key(65537, 2048)
SHORT_KEY = rsa.generate_private_key(65537, 1024)


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


class Provider:
    """An OpenID provider on a free port with replaceable keys, which counts the requests for its key set."""

    def __init__(self) -> None:
        self.keys = [
            jwk(PROVIDER_KEY, "ours", use="sig", alg="RS256"),
            jwk(EC_KEY, "curve"),
            jwk(SHORT_KEY, "short"),
            jwk(OTHER_KEY, "for-encryption", use="enc"),
            {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
            {"kty": "unknown", "kid": "odd"},
            jwk(OTHER_KEY, "no text") | {"kid": ["no", "text"]},
            jwk(OTHER_KEY, "no algorithm") | {"alg": ["RS256"]},
            {"kty": ["RSA"], "kid": "no kind"},
            None,
            5,
            "text",
        ]
        self.key_requests = 0
        self.fails = False
        self.redirects = False
        self.more = ""  # extra data in the key set
        self.documents: dict[str, bytes] = {}  # replacements of its documents, by path
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                documents = {
                    "/.well-known/openid-configuration": {
                        "issuer": provider.issuer,
                        "jwks_uri": f"{provider.issuer}/keys",
                    },
                    "/keys": {"keys": provider.keys, "more": provider.more},
                    "/elsewhere": {"keys": provider.keys},
                }
                provider.key_requests += self.path == "/keys"
                body = provider.documents.get(self.path, json.dumps(documents.get(self.path)).encode())
                redirected = provider.redirects and self.path == "/keys"
                self.send_response(500 if provider.fails else 302 if redirected else 200)
                if redirected:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "user-7",
            "iat": now,
            "exp": now + 300,
            "scope": "openid people:admin",
        }
        return {name: value for name, value in (claims | more).items() if value is not None}

    def token(self, key: Any = PROVIDER_KEY, kid: str | None = "ours", alg: str = "RS256", **more: Any) -> str:
        return jwt.encode(self.claims(**more), key, algorithm=alg, headers={"kid": kid} if kid else {})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever)
    thread.start()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def client(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("oidc")
    with serving(folder, oidc_issuer=provider.issuer, oidc_audience=AUDIENCE, rate_limit=0) as server:  # noqa: SIM117 - as in test_authentication
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            yield client


def unsigned(provider: Provider, alg: str | list[str]) -> str:
    parts = [{"alg": alg, "typ": "JWT", "kid": "ours"}, provider.claims()]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def signed_with_the_public_key(provider: Provider) -> str:
    """Return an HS256 token signed with the public key, which a verifier that trusts `alg` would accept."""
    import hashlib
    import hmac

    public = PROVIDER_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = unsigned(provider, "HS256").rstrip(".")
    signature = base64.urlsafe_b64encode(hmac.new(public, text.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    return f"{text}.{signature}"


def with_other_claims(provider: Provider) -> str:
    head, _, signature = provider.token(scope="people:read").split(".")
    claims = base64.urlsafe_b64encode(json.dumps(provider.claims()).encode()).rstrip(b"=").decode()
    return f"{head}.{claims}.{signature}"


NOW = int(time.time())
ATTACKS: dict[str, Any] = {
    "alg none": lambda p: unsigned(p, "none"),
    "alg None, in capitals": lambda p: unsigned(p, "NONE"),
    "no signature": lambda p: unsigned(p, "RS256"),
    "HS256 with the public key": signed_with_the_public_key,
    "HS256 with a symmetric key of the set": lambda p: p.token(
        "secret-secret-secret-secret-secret", "symmetric", "HS256"
    ),
    "other claims under a signature": with_other_claims,
    "the key of another party": lambda p: p.token(OTHER_KEY),
    "an unknown kid": lambda p: p.token(kid="unknown"),
    "no kid": lambda p: p.token(kid=None),
    "a kid that is a path": lambda p: p.token(kid="../../dev/null"),
    "an algorithm that is not the key's": lambda p: p.token(alg="RS512"),
    "a key for encryption": lambda p: p.token(OTHER_KEY, "for-encryption"),
    "a short key": lambda p: p.token(SHORT_KEY, "short"),
    "a key of another kind": lambda p: p.token(PROVIDER_KEY, "curve"),
    "wrong issuer": lambda p: p.token(iss="https://elsewhere.example"),
    "issuer with a slash more": lambda p: p.token(iss=p.issuer + "/"),
    "no issuer": lambda p: p.token(iss=None),
    "wrong audience": lambda p: p.token(aud="another-api"),
    "no audience": lambda p: p.token(aud=None),
    "expired": lambda p: p.token(exp=NOW - 3_600),
    "no expiry": lambda p: p.token(exp=None),
    "an expiry that is not a time": lambda p: p.token(exp="tomorrow"),
    "an expiry that is a text": lambda p: p.token(exp=str(NOW + 3_600)),
    "an infinite expiry": lambda p: p.token(exp=float("inf")),
    "an algorithm that is a list": lambda p: unsigned(p, ["RS256"]) + "AAAA",
    "a deeply nested header": lambda _: (
        base64.urlsafe_b64encode(b'{"kid":' + b"[" * 9_000).decode().rstrip("=") + ".YQ.YQ"
    ),
    "an unknown critical extension": lambda p: jwt.encode(
        p.claims(), PROVIDER_KEY, "RS256", headers={"kid": "ours", "crit": ["mfa"], "mfa": True}
    ),
    "not yet valid": lambda p: p.token(nbf=NOW + 3_600),
    "from the future": lambda p: p.token(iat=NOW + 3_600),
    "no subject": lambda p: p.token(sub=None),
    "a subject that breaks lines": lambda p: p.token(sub="a\nb"),
    "a subject too long": lambda p: p.token(sub="a" * 201),
    "cut off": lambda p: p.token()[:-10],
    "not JSON": lambda _: "YQ.YQ.YQ",
    "dots": lambda _: "..",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_operation_rejects_an_invalid_token(client: httpx.Client, provider: Provider, attack: str) -> None:
    token = ATTACKS[attack](provider)
    for operation in OPERATIONS:
        if operation.scope:
            path = operation.path.replace("{person_id}", "0" * 32)
            response = client.request(operation.method, path, headers=bearer(token))
            assert problem_of(response) == NOT_AUTHENTICATED, operation.name
            assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize("more", [{}, {"aud": ["other", AUDIENCE]}, {"nbf": NOW - 10}, {"exp": NOW + 3_600}])
def test_operation_accepts_a_valid_token(client: httpx.Client, provider: Provider, more: dict[str, Any]) -> None:
    token = provider.token(**more)
    for operation in OPERATIONS:
        path = operation.path.replace("{person_id}", "0" * 32)
        response = client.request(operation.method, path, headers=bearer(token))
        assert response.status_code not in (401, 403, 500), operation.name


def test_token_signed_with_an_elliptic_curve_is_accepted(client: httpx.Client, provider: Provider) -> None:
    token = provider.token(EC_KEY, "curve", "ES256")
    assert client.get("/v1/people?surname=x", headers=bearer(token)).status_code == 200


def test_loopback_requests_require_a_token(client: httpx.Client) -> None:
    assert client.get("/v1/people?surname=x").status_code == 401


def test_token_without_the_scope_gets_403(client: httpx.Client, provider: Provider) -> None:
    reader = bearer(provider.token(scope="people:read openid"))
    assert client.get("/v1/people?surname=x", headers=reader).status_code == 200
    assert client.post("/v1/people", json={"person_name": "A"}, headers=reader).status_code == 403
    assert client.get("/v1/people?surname=x", headers=bearer(provider.token(scope=None))).status_code == 403


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("scope", "openid people:read"),
        ("scp", ["people:read", 7, "else"]),
        ("realm_access.roles", {"roles": ["people:read"]}),
        ("https://example.org/roles", ["people:read"]),
    ],
)
async def test_scopes_come_from_the_configured_claim(provider: Provider, claim: str, value: Any) -> None:
    tokens = OidcTokenVerifier(provider.issuer, AUDIENCE, scopes_claim=claim)
    name = "realm_access" if claim == "realm_access.roles" else claim
    principal, seconds = await tokens.principal(provider.token(**{"scope": None, name: value}))
    assert principal.scopes == frozenset({Scope.READ})
    assert principal.name == "oidc:user-7"
    assert 0 < seconds <= 300 + oidc.LEEWAY


@pytest.fixture
def tokens(provider: Provider, moment: MonotonicClock) -> Iterator[OidcTokenVerifier]:
    original_keys, provider.key_requests = provider.keys, 0
    yield OidcTokenVerifier(provider.issuer, AUDIENCE, scopes_claim="scope", monotonic=moment)
    provider.keys, provider.fails, provider.redirects, provider.more = original_keys, False, False, ""


async def test_new_key_of_the_provider_replaces_the_old_one(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    await tokens.principal(provider.token())
    provider.keys = [jwk(OTHER_KEY, "next")]
    moment.now += provider_documents.REFETCH_INTERVAL
    await tokens.principal(provider.token(OTHER_KEY, "next"))
    assert provider.key_requests == 2
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_withdrawn_key_is_rejected_after_the_ttl(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    await tokens.principal(provider.token())
    provider.keys = [jwk(OTHER_KEY, "next")]
    moment.now += provider_documents.DOCUMENT_TTL + 1
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_unknown_keys_cause_few_requests_to_the_provider(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            await tokens.principal(provider.token(kid=f"unknown-{number}"))
    assert provider.key_requests == 1
    moment.now += provider_documents.REFETCH_INTERVAL
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            await tokens.principal(provider.token(kid=f"unknown-{number}"))
    assert provider.key_requests == 2


async def test_tokens_stay_valid_during_a_short_outage_of_the_provider(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    await tokens.principal(provider.token())
    provider.fails = True
    moment.now += oidc.STALE_KEYS_TTL - 1
    await tokens.principal(provider.token())
    moment.now += 2
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_redirect_of_the_key_set_is_not_followed(provider: Provider, tokens: OidcTokenVerifier) -> None:
    provider.redirects = True
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_oversized_key_set_is_rejected(provider: Provider, tokens: OidcTokenVerifier) -> None:
    provider.more = "x" * 2_000_000
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_no_token_is_accepted_if_the_provider_never_responded(
    provider: Provider, tokens: OidcTokenVerifier
) -> None:
    provider.fails = True
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


NESTED = b'{"keys":' + b"[" * 100_000
DOCUMENTS: list[bytes] = [
    b"", b"\xff\xfe", b"[]", b"null", b"5", b'"text"', NESTED, b'{"keys":5}', b'{"keys":{}}', b'{"keys":[[]]}', b"{}",
    b'{"a":"\xff"}', b'{"issuer":5}', b'{"jwks_uri":5}', b"<html>",
]  # fmt: skip
ADDRESSES = [
    "no url",
    "http://",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "file:///etc/passwd",
    "//x",
    "http://\0/",
    "mailto:x",
]


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys"])
@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
async def test_tokens_are_rejected_until_an_invalid_document_is_replaced(
    provider: Provider, moment: MonotonicClock, path: str, document: bytes
) -> None:
    await _assert_rejected_then_accepted(provider, moment, path, document)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_tokens_are_rejected_until_an_invalid_key_set_url_is_replaced(
    provider: Provider, moment: MonotonicClock, address: str
) -> None:
    document = json.dumps({"issuer": provider.issuer, "jwks_uri": address}).encode()
    await _assert_rejected_then_accepted(provider, moment, "/.well-known/openid-configuration", document)


async def test_configuration_of_another_issuer_is_rejected(provider: Provider, moment: MonotonicClock) -> None:
    document = json.dumps({"issuer": "http://127.0.0.1:9", "jwks_uri": f"{provider.issuer}/keys"}).encode()
    await _assert_rejected_then_accepted(provider, moment, "/.well-known/openid-configuration", document)


def test_only_asymmetric_algorithms_are_allowed() -> None:
    assert {name[:2] for name in oidc.ALGORITHMS} == {"RS", "PS", "ES", "Ed"}


async def _assert_rejected_then_accepted(
    provider: Provider, moment: MonotonicClock, path: str, document: bytes
) -> None:
    tokens = OidcTokenVerifier(provider.issuer, AUDIENCE, scopes_claim="scope", monotonic=moment)
    provider.documents[path] = document
    try:
        with pytest.raises(NotAuthenticated):
            await tokens.principal(provider.token())
    finally:
        provider.documents.clear()
    moment.now += provider_documents.REFETCH_INTERVAL
    principal, _ = await tokens.principal(provider.token())
    assert principal.name == "oidc:user-7"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_arbitrary_token_is_rejected(header: bytes, claims: bytes) -> None:
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, claims, b"x")]
    tokens = OidcTokenVerifier("http://127.0.0.1:9", AUDIENCE, scopes_claim="scope")
    with pytest.raises(NotAuthenticated):
        asyncio.run(tokens.principal(".".join(parts)))
