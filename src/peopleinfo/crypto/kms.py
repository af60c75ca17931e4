"""The master key in AWS KMS, used only at start-up and for key rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from peopleinfo.crypto.master_key import WrongMasterKey
from peopleinfo.errors import StoreConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_WRONG_KEY_CODES: Final = frozenset({"IncorrectKeyException", "InvalidCiphertextException"})
_CLIENT_CONFIG: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})


class KmsMasterKey:
    """A symmetric KMS key, given by id, ARN or alias. The credentials come from botocore's default chain."""

    def __init__(self, key: str, *, region: str | None = None, endpoint: str | None = None) -> None:
        """The region defaults to that of the ARN, then to that of the environment. Raises StoreConfigurationError."""
        self.name = f"aws-kms://{key}"
        self._key = key
        region = region or (key.split(":")[3] if key.startswith("arn:") else None)
        self._client = self._call(
            lambda: botocore.session.get_session().create_client(
                "kms", region_name=region, endpoint_url=endpoint, config=_CLIENT_CONFIG
            )
        )

    def wrap(self, key: bytes, generation: int) -> bytes:
        """Wrap the key of a generation. Raises StoreConfigurationError."""
        response = self._call(
            lambda: self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext=_context(generation))
        )
        return bytes(response["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Unwrap the key of a generation. Raises WrongMasterKey, StoreConfigurationError."""
        response = self._call(
            lambda: self._client.decrypt(
                KeyId=self._key, CiphertextBlob=wrapped, EncryptionContext=_context(generation)
            )
        )
        return bytes(response["Plaintext"])

    def _call(self, call: Callable[[], Any]) -> Any:
        """Translate the errors of the library."""
        try:
            return call()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _WRONG_KEY_CODES:
                raise WrongMasterKey(self.name) from error
            raise StoreConfigurationError(
                f"KMS rejected the request for the key {self.name}: {code}; see docs/encryption.md for the required permissions"
            ) from error
        except (BotoCoreError, ValueError) as error:  # ValueError: the endpoint is not a URL
            raise StoreConfigurationError(f"cannot call KMS for the key {self.name}: {error}") from error


def _context(generation: int) -> dict[str, str]:
    return {"service": "peopleinfo", "generation": str(generation)}
