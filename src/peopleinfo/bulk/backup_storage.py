"""Storage of backup files: a directory or an S3 bucket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from peopleinfo.errors import BackupStorageUnavailable


class BackupStorage(Protocol):
    """Stores files by name. Every method may raise BackupStorageUnavailable."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""

    def write(self, name: str, content: bytes) -> None:
        """Store a file durably and atomically."""


class DirectoryStorage:
    """A directory with mode 0700."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BackupStorageUnavailable(f"cannot read {self._path / name}: {error.strerror}") from error

    def write(self, name: str, content: bytes) -> None:
        """Store a file durably and atomically."""
        partial = self._path / f".{name}.partial"
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path / name)
            self._sync()
        except OSError as error:
            raise BackupStorageUnavailable(f"cannot write {self._path / name}: {error.strerror}") from error

    def _sync(self) -> None:
        folder = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class S3Storage:
    """A prefix of an S3 bucket, with the default AWS configuration and credentials."""

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - not needed for a directory

        try:
            response = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return bytes(response["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error

    def write(self, name: str, content: bytes) -> None:
        """Store a file durably and atomically."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)
        except (BotoCoreError, ClientError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> BackupStorageUnavailable:
        return BackupStorageUnavailable(f"s3://{self._bucket}/{self._prefix}: {error}")


def open_backup_storage(location: str) -> BackupStorage:
    """Return the storage at a path or an s3:// URL.

    The URL is s3://BUCKET/PREFIX with an optional `?region=` and, for a server other than AWS, `?endpoint=`. Raises
    BackupStorageUnavailable.
    """
    url = urlsplit(location)
    if "://" not in location:
        return DirectoryStorage(Path(location))
    options = dict(parse_qsl(url.query))
    endpoint, region = options.pop("endpoint", None), options.pop("region", None)
    if url.scheme != "s3" or not url.netloc or options:
        raise BackupStorageUnavailable(
            f"{location} is invalid: use the path of a directory or s3://BUCKET/PREFIX, optionally with ?region= and ?endpoint="
        )
    import botocore.session  # noqa: PLC0415 - slow to import
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above

    try:
        client = botocore.session.get_session().create_client("s3", endpoint_url=endpoint, region_name=region)
    except (BotoCoreError, ValueError) as error:  # an unknown profile or an invalid URL
        raise BackupStorageUnavailable(f"{location}: {error}") from error
    return S3Storage(url.netloc, url.path.strip("/"), client)
