"""Tokens of an OpenID provider: what is let in, and every attack that is known on such tokens. The provider is a real HTTP server."""

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
from peopleinfo.auth.oidc import OidcTokenVerifier
from peopleinfo.auth.principal import Scope
from peopleinfo.errors import NotAuthenticated
from peopleinfo.http.operations import OPERATIONS
from tests.http.serving import HANG_TIMEOUT, serving
from tests.http.test_authentication import NOT_LET_IN, bearer, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store_kinds import MonotonicClock

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # an attacker ignores it
AUDIENCE = "people-api"
OURS = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
THEIRS = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


class Provider:
    """An OpenID provider on a free port: what it signs with can be changed, and it counts who asks for its keys."""

    def __init__(self) -> None:
        self.keys = [
            jwk(OURS, "ours", use="sig", alg="RS256"),
            jwk(CURVE, "curve"),
            jwk(SHORT, "short"),
            jwk(THEIRS, "for-encryption", use="enc"),
            {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
            {"kty": "unheard of", "kid": "odd"},
            jwk(THEIRS, "no text") | {"kid": ["no", "text"]},
            jwk(THEIRS, "no algorithm") | {"alg": ["RS256"]},
            {"kty": ["RSA"], "kid": "no kind"},
            None,
            5,
            "text",
        ]
        self.asked = 0
        self.is_ill = False
        self.leads_elsewhere = False
        self.more = ""  # that it says beside its keys
        self.documents: dict[str, bytes] = {}  # what it answers instead, by path
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
                provider.asked += self.path == "/keys"
                body = provider.documents.get(self.path, json.dumps(documents.get(self.path)).encode())
                leads = provider.leads_elsewhere and self.path == "/keys"
                self.send_response(500 if provider.is_ill else 302 if leads else 200)
                if leads:
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

    def token(self, key: Any = OURS, kid: str | None = "ours", alg: str = "RS256", **more: Any) -> str:
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
    """HS256 with the published key as the secret: a checker that believes `alg` takes it for the provider's."""
    import hashlib
    import hmac

    public = OURS.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
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
    "somebody else's key": lambda p: p.token(THEIRS),
    "an unknown kid": lambda p: p.token(kid="unknown"),
    "no kid": lambda p: p.token(kid=None),
    "a kid that is a path": lambda p: p.token(kid="../../dev/null"),
    "an algorithm that is not the key's": lambda p: p.token(alg="RS512"),
    "a key for encryption": lambda p: p.token(THEIRS, "for-encryption"),
    "a short key": lambda p: p.token(SHORT, "short"),
    "a key of another kind": lambda p: p.token(OURS, "curve"),
    "wrong issuer": lambda p: p.token(iss="https://elsewhere.example"),
    "issuer with a slash more": lambda p: p.token(iss=p.issuer + "/"),
    "no issuer": lambda p: p.token(iss=None),
    "wrong audience": lambda p: p.token(aud="another-api"),
    "no audience": lambda p: p.token(aud=None),
    "expired": lambda p: p.token(exp=NOW - 3_600),
    "no expiry": lambda p: p.token(exp=None),
    "an expiry that is no time": lambda p: p.token(exp="tomorrow"),
    "an expiry that is a text": lambda p: p.token(exp=str(NOW + 3_600)),
    "an expiry that never comes": lambda p: p.token(exp=float("inf")),
    "an algorithm that is a list": lambda p: unsigned(p, ["RS256"]) + "AAAA",
    "a head without end": lambda _: base64.urlsafe_b64encode(b'{"kid":' + b"[" * 9_000).decode().rstrip("=") + ".YQ.YQ",
    "an extension that has to be understood": lambda p: jwt.encode(
        p.claims(), OURS, "RS256", headers={"kid": "ours", "crit": ["mfa"], "mfa": True}
    ),
    "not yet valid": lambda p: p.token(nbf=NOW + 3_600),
    "from the future": lambda p: p.token(iat=NOW + 3_600),
    "no subject": lambda p: p.token(sub=None),
    "a subject that breaks lines": lambda p: p.token(sub="a\nb"),
    "a subject too long": lambda p: p.token(sub="a" * 201),
    "cut off": lambda p: p.token()[:-10],
    "no JSON": lambda _: "YQ.YQ.YQ",
    "dots": lambda _: "..",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_operation_answers_a_token_with(client: httpx.Client, provider: Provider, attack: str) -> None:
    token = ATTACKS[attack](provider)
    for operation in OPERATIONS:
        if operation.scope:
            path = operation.path.replace("{person_id}", "0" * 32)
            answer = client.request(operation.method, path, headers=bearer(token))
            assert refusal(answer) == NOT_LET_IN, operation.name
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize("more", [{}, {"aud": ["other", AUDIENCE]}, {"nbf": NOW - 10}, {"exp": NOW + 3_600}])
def test_every_operation_answers_a_good_token(client: httpx.Client, provider: Provider, more: dict[str, Any]) -> None:
    token = provider.token(**more)
    for operation in OPERATIONS:
        path = operation.path.replace("{person_id}", "0" * 32)
        answer = client.request(operation.method, path, headers=bearer(token))
        assert answer.status_code not in (401, 403, 500), operation.name


def test_a_token_signed_with_an_elliptic_curve_is_good_too(client: httpx.Client, provider: Provider) -> None:
    token = provider.token(CURVE, "curve", "ES256")
    assert client.get("/v1/people?surname=x", headers=bearer(token)).status_code == 200


def test_nobody_is_let_in_without_a_token_on_loopback_either(client: httpx.Client) -> None:
    assert client.get("/v1/people?surname=x").status_code == 401


def test_a_token_without_the_scope_is_refused_as_such(client: httpx.Client, provider: Provider) -> None:
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
async def test_scopes_come_from_the_claim_that_is_set(provider: Provider, claim: str, value: Any) -> None:
    tokens = OidcTokenVerifier(provider.issuer, AUDIENCE, scopes_claim=claim)
    name = "realm_access" if claim == "realm_access.roles" else claim
    principal, seconds = await tokens.principal(provider.token(**{"scope": None, name: value}))
    assert principal.scopes == frozenset({Scope.READ})
    assert principal.name == "oidc:user-7"
    assert 0 < seconds <= 300 + oidc.LEEWAY


@pytest.fixture
def tokens(provider: Provider, moment: MonotonicClock) -> Iterator[OidcTokenVerifier]:
    kept, provider.asked = provider.keys, 0
    yield OidcTokenVerifier(provider.issuer, AUDIENCE, scopes_claim="scope", monotonic=moment)
    provider.keys, provider.is_ill, provider.leads_elsewhere, provider.more = kept, False, False, ""


async def test_a_new_key_of_the_provider_is_found_and_an_old_one_forgotten(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    await tokens.principal(provider.token())
    provider.keys = [jwk(THEIRS, "next")]
    moment.now += oidc.JWKS_REFETCH_INTERVAL
    await tokens.principal(provider.token(THEIRS, "next"))
    assert provider.asked == 2
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_a_key_that_was_withdrawn_is_believed_no_longer_than_is_said(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    await tokens.principal(provider.token())
    provider.keys = [jwk(THEIRS, "next")]
    moment.now += oidc.JWKS_TTL + 1
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_unknown_keys_do_not_make_us_ask_the_provider_all_the_time(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            await tokens.principal(provider.token(kid=f"unknown-{number}"))
    assert provider.asked == 1
    moment.now += oidc.JWKS_REFETCH_INTERVAL
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            await tokens.principal(provider.token(kid=f"unknown-{number}"))
    assert provider.asked == 2


async def test_a_provider_that_is_away_for_a_while_shuts_nobody_out(
    provider: Provider, tokens: OidcTokenVerifier, moment: MonotonicClock
) -> None:
    await tokens.principal(provider.token())
    provider.is_ill = True
    moment.now += oidc.JWKS_STALE_TTL - 1
    await tokens.principal(provider.token())
    moment.now += 2
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_keys_are_taken_from_where_they_are_said_to_be_and_nowhere_else(
    provider: Provider, tokens: OidcTokenVerifier
) -> None:
    provider.leads_elsewhere = True
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_a_provider_that_says_too_much_is_not_listened_to(provider: Provider, tokens: OidcTokenVerifier) -> None:
    provider.more = "x" * 2_000_000
    with pytest.raises(NotAuthenticated):
        await tokens.principal(provider.token())


async def test_a_provider_that_was_never_there_lets_nobody_in(provider: Provider, tokens: OidcTokenVerifier) -> None:
    provider.is_ill = True
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
async def test_a_document_of_any_content_lets_nobody_in_and_the_next_one_counts(
    provider: Provider, moment: MonotonicClock, path: str, document: bytes
) -> None:
    await _refused_then_accepted(provider, moment, path, document)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_address_of_any_form_lets_nobody_in_and_the_next_one_counts(
    provider: Provider, moment: MonotonicClock, address: str
) -> None:
    document = json.dumps({"issuer": provider.issuer, "jwks_uri": address}).encode()
    await _refused_then_accepted(provider, moment, "/.well-known/openid-configuration", document)


async def test_a_configuration_of_another_issuer_names_no_keys(provider: Provider, moment: MonotonicClock) -> None:
    document = json.dumps({"issuer": "http://127.0.0.1:9", "jwks_uri": f"{provider.issuer}/keys"}).encode()
    await _refused_then_accepted(provider, moment, "/.well-known/openid-configuration", document)


def test_only_asymmetric_algorithms_are_allowed() -> None:
    assert {name[:2] for name in oidc.ALGORITHMS} == {"RS", "PS", "ES", "Ed"}


async def _refused_then_accepted(provider: Provider, moment: MonotonicClock, path: str, document: bytes) -> None:
    tokens = OidcTokenVerifier(provider.issuer, AUDIENCE, scopes_claim="scope", monotonic=moment)
    provider.documents[path] = document
    try:
        with pytest.raises(NotAuthenticated):
            await tokens.principal(provider.token())
    finally:
        provider.documents.clear()
    moment.now += oidc.JWKS_REFETCH_INTERVAL
    principal, _ = await tokens.principal(provider.token())
    assert principal.name == "oidc:user-7"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_token_of_any_content_is_refused(header: bytes, claims: bytes) -> None:
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, claims, b"x")]
    tokens = OidcTokenVerifier("http://127.0.0.1:9", AUDIENCE, scopes_claim="scope")
    with pytest.raises(NotAuthenticated):
        asyncio.run(tokens.principal(".".join(parts)))
