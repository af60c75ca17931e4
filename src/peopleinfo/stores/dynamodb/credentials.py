"""Whom AWS takes us for: the usual chain, and the one link of it that aiodynamo does not have."""

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

_SECONDS: Final = 5.0


def default_chain(region: str) -> Credentials:
    """Return the credentials of the environment, a profile, a web identity, the ECS task's or the EC2 instance's role: the first there are.

    Those of a role are fetched anew before they expire.
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

    The token is read from its file each time: whoever puts it there changes it before it expires.
    """

    region: str
    role: str | None = field(default_factory=lambda: os.environ.get("AWS_ROLE_ARN"))
    token_file: str | None = field(default_factory=lambda: os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"))
    session: str = field(default_factory=lambda: os.environ.get("AWS_ROLE_SESSION_NAME", "peopleinfo"))
    endpoint: str | None = field(default_factory=lambda: os.environ.get("AWS_ENDPOINT_URL_STS"))

    def is_disabled(self) -> bool:
        """Say whether there is no web identity here."""
        return not (self.role and self.token_file)

    async def fetch_metadata(self, http: HttpImplementation) -> Metadata:
        """Exchange the token for a key. Raises whatever keeps that from happening."""
        token = await asyncio.to_thread(Path(self.token_file or "").read_text)
        asked = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": self.role,
            "RoleSessionName": self.session,
            "WebIdentityToken": token.strip(),
        }
        url = self.endpoint or f"https://sts.{self.region}.amazonaws.com/"
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        async with asyncio.timeout(_SECONDS):
            answer = await http(Request("POST", url, headers, urlencode(asked).encode()))
        if answer.status != 200:  # noqa: PLR2004 - the one that means it was done
            raise ConnectionError(f"STS answered {answer.status} for the web identity of {self.role}")
        # The XML is that of AWS, over TLS: nobody else writes it.
        given = ET.fromstring(answer.body).find(".//{*}Credentials")  # noqa: S314
        if given is None:
            raise ConnectionError(f"STS gave no credentials for the web identity of {self.role}")
        told = {one.tag.rpartition("}")[2]: one.text or "" for one in given}
        key = Key(told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"])
        return Metadata(key, parse_amazon_timestamp(told["Expiration"]))
