"""The master key in AWS KMS: asked when a process starts and when keys are rotated, never for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from peopleinfo.crypto.master_key import WrongMasterKey
from peopleinfo.errors import StoreConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_WRONG: Final = frozenset({"IncorrectKeyException", "InvalidCiphertextException"})
_PATIENCE: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})


class KmsMasterKey:
    """A symmetric key of KMS, by its id, ARN or alias; the credentials are those of botocore's usual chain."""

    def __init__(self, key: str, *, region: str | None = None, endpoint: str | None = None) -> None:
        """The region is that of the ARN unless it is given, else that of the environment. Raises StoreUnusable."""
        self.name = f"aws-kms://{key}"
        self._key = key
        region = region or (key.split(":")[3] if key.startswith("arn:") else None)
        self._client = self._call(
            lambda: botocore.session.get_session().create_client(
                "kms", region_name=region, endpoint_url=endpoint, config=_PATIENCE
            )
        )

    def wrap(self, key: bytes, generation: int) -> bytes:
        """Have KMS wrap the key of a generation. Raises StoreUnusable."""
        answer = self._call(
            lambda: self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext=_context(generation))
        )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Have KMS unwrap the key of a generation. Raises WrongMaster, StoreUnusable."""
        answer = self._call(
            lambda: self._client.decrypt(
                KeyId=self._key, CiphertextBlob=wrapped, EncryptionContext=_context(generation)
            )
        )
        return bytes(answer["Plaintext"])

    def _call(self, call: Callable[[], Any]) -> Any:
        """Translate the errors of the library."""
        try:
            return call()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _WRONG:
                raise WrongMasterKey(self.name) from error
            raise StoreConfigurationError(
                f"KMS refuses the key {self.name}: {code}; see docs/encryption.md for its rights"
            ) from error
        except (BotoCoreError, ValueError) as error:  # ValueError: the endpoint is no URL
            raise StoreConfigurationError(f"KMS cannot be asked for the key {self.name}: {error}") from error


def _context(generation: int) -> dict[str, str]:
    return {"service": "peopleinfo", "generation": str(generation)}
