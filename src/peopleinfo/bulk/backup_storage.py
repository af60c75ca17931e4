"""Where the files of a backup lie: a folder, or a bucket of S3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from peopleinfo.errors import PeopleInfoError


class BackupStorageUnavailable(PeopleInfoError):
    """The place of a backup cannot be used; the message says why."""


class BackupStorage(Protocol):
    """Keeps files under names. Every method may raise DepotUnavailable."""

    def read(self, name: str) -> bytes | None:
        """Return a file, None when it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Keep a file durably: it is there whole or not at all."""


class DirectoryStorage:
    """A folder that its owner alone may look into."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        """Return a file, None when it is not there."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BackupStorageUnavailable(f"cannot read {self._path / name}: {error.strerror}") from error

    def write(self, name: str, content: bytes) -> None:
        """Keep a file durably: it is there whole or not at all."""
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
    """A prefix in a bucket of S3, by the usual AWS settings and credentials."""

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client

    def read(self, name: str) -> bytes | None:
        """Return a file, None when it is not there."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - a folder has no use for it

        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return bytes(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error

    def write(self, name: str, content: bytes) -> None:
        """Keep a file durably: it is there whole or not at all."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - likewise

        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)
        except (BotoCoreError, ClientError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> BackupStorageUnavailable:
        return BackupStorageUnavailable(f"s3://{self._bucket}/{self._prefix}: {error}")


def open_backup_storage(place: str) -> BackupStorage:
    """Return the depot at a path, or at s3://BUCKET/PREFIX (with ?endpoint=URL for a server that is not AWS's). Raises DepotUnavailable."""
    url = urlsplit(place)
    if "://" not in place:
        return DirectoryStorage(Path(place))
    asked = dict(parse_qsl(url.query))
    endpoint, region = asked.pop("endpoint", None), asked.pop("region", None)
    if url.scheme != "s3" or not url.netloc or asked:
        raise BackupStorageUnavailable(
            f"{place} is not understood: write the path of a folder, or s3://BUCKET/PREFIX, with ?region= or ?endpoint= if need be"
        )
    import botocore.session  # noqa: PLC0415 - heavy, and needed here alone
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - likewise

    try:
        client = botocore.session.get_session().create_client("s3", endpoint_url=endpoint, region_name=region)
    except (BotoCoreError, ValueError) as error:  # no such profile, or no URL
        raise BackupStorageUnavailable(f"{place}: {error}") from error
    return S3Storage(url.netloc, url.path.strip("/"), client)
