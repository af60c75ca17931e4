"""AWS credentials: the default provider chain, with the web identity that aiodynamo lacks."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from aiodynamo.credentials import (
    ChainCredentials,
    ContainerMetadataCredentials,
    Credentials,
    EnvironmentCredentials,
    FileCredentials,
    InstanceMetadataCredentialsV2,
    Key,
    Metadata,
    MetadataCredentials,
)
from aiodynamo.http.types import Request
from aiodynamo.utils import parse_amazon_timestamp

if TYPE_CHECKING:
    from aiodynamo.http.types import HttpImplementation

_TIMEOUT: Final = 5.0  # seconds for the request to STS


def default_chain(region: str) -> Credentials:
    """Return the first available credentials: environment, profile, web identity, ECS task role or EC2 instance role.

    The credentials of a role are refreshed before they expire.
    """
    return ChainCredentials(
        [
            EnvironmentCredentials(),
            FileCredentials(),
            WebIdentityCredentials(region),
            ContainerMetadataCredentials(),
            InstanceMetadataCredentialsV2(),
        ]
    )


@dataclass
class WebIdentityCredentials(MetadataCredentials):
    """The role of a Kubernetes service account or another OpenID Connect identity (STS AssumeRoleWithWebIdentity).

    The token file is read for each request, because its issuer replaces it before the token expires.
    """

    region: str
    role: str | None = field(default_factory=lambda: os.environ.get("AWS_ROLE_ARN"))
    token_file: str | None = field(default_factory=lambda: os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"))
    session: str = field(default_factory=lambda: os.environ.get("AWS_ROLE_SESSION_NAME", "peopleinfo"))
    endpoint: str | None = field(default_factory=lambda: os.environ.get("AWS_ENDPOINT_URL_STS"))

    def is_disabled(self) -> bool:
        """Return whether no web identity is configured."""
        return not (self.role and self.token_file)

    async def fetch_metadata(self, http: HttpImplementation) -> Metadata:
        """Exchange the token for temporary credentials.

        Raises OSError if the token or STS cannot be read, RequestFailed or ConnectionError if STS fails.
        """
        token = await asyncio.to_thread(Path(self.token_file or "").read_text)
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": self.role,
            "RoleSessionName": self.session,
            "WebIdentityToken": token.strip(),
        }
        url = self.endpoint or f"https://sts.{self.region}.amazonaws.com/"
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        async with asyncio.timeout(_TIMEOUT):
            response = await http(Request("POST", url, headers, urlencode(form).encode()))
        if response.status != 200:  # noqa: PLR2004 - the status of success
            raise ConnectionError(f"STS returned status {response.status} for the web identity of {self.role}")
        # The XML comes from AWS over TLS, so it is trusted.
        element = ET.fromstring(response.body).find(".//{*}Credentials")  # noqa: S314
        if element is None:
            raise ConnectionError(f"STS returned no credentials for the web identity of {self.role}")
        values = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        key = Key(values["AccessKeyId"], values["SecretAccessKey"], values["SessionToken"])
        return Metadata(key, parse_amazon_timestamp(values["Expiration"]))
