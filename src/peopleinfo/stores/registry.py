"""The registry of stores: opens, creates and checks the store that the settings name. Loads only the libraries of that store."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from peopleinfo.crypto.master_key import Encryption
from peopleinfo.errors import InvalidSettings
from peopleinfo.people.history import HistoryLimits
from peopleinfo.people.index_entries import DUPLICATES, IndexPlan
from peopleinfo.people.person import utc_now
from peopleinfo.settings.durations import parse_days, parse_history
from peopleinfo.settings.identifiers import parse_identifiers, parse_indexes
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.instrumented import InstrumentedMerges, InstrumentedStore, InstrumentedTrash
from peopleinfo.stores.service_store import ServiceStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.crypto.master_key import MasterKey
    from peopleinfo.crypto.rotation import KeyStore
    from peopleinfo.matching.merge_store import MergeStore
    from peopleinfo.people.store import Store
    from peopleinfo.people.trash import TrashStore
    from peopleinfo.settings import Settings
    from peopleinfo.settings.urls import EncryptionUrl
    from peopleinfo.stores.service_store import OpenedStore
    from peopleinfo.stores.sqlite.immediate_reads import SqliteImmediateReader


@asynccontextmanager
async def open_service_store(settings: Settings, *, create: bool = False) -> AsyncIterator[ServiceStore]:
    """Open the configured store, with metrics and the configured cache. `create`: create a missing store.

    Raises StoreMissing, StoreConfigurationError.
    """
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(_open_store(settings, create=create))
        people: Store = InstrumentedStore(opened)
        trash: TrashStore = InstrumentedTrash(opened.trash)
        merges: MergeStore = InstrumentedMerges(opened.merges)
        cached = None
        if settings.cache_url:
            from peopleinfo.stores.cached.merges import CachedMerges  # noqa: PLC0415 - as below
            from peopleinfo.stores.cached.store import open_cached  # noqa: PLC0415 - as below
            from peopleinfo.stores.cached.trash import CachedTrash  # noqa: PLC0415 - as below

            people = cached = await stack.enter_async_context(
                open_cached(
                    people,
                    settings.cache_url,
                    secret=opened.secret,
                    user=settings.cache_user,
                    password=settings.cache_password,
                    ttl=settings.cache_ttl,
                    local_size=settings.cache_local_size,
                    strict=settings.cache_strict_writes,
                    command_timeout=settings.cache_timeout,
                    fence_ttl=settings.cache_fence_ttl,
                )
            )
            trash, merges = CachedTrash(trash, cached), CachedMerges(merges, cached)
        embedded = None if cached else _embedded_reader(opened, settings)
        matches = opened.matches if DUPLICATES in index_plan(settings).indexes else None
        yield ServiceStore(
            people,
            opened.secret,
            opened.api_keys,
            opened.ended_sessions,
            opened.imports,
            opened.archive,
            trash,
            merges,
            cached,
            opened.search,
            matches,
            cached.immediate if cached else embedded,
            embedded,
        )


def _embedded_reader(opened: OpenedStore, settings: Settings) -> SqliteImmediateReader | None:
    if isinstance(settings.location, DynamoDBUrl):
        return None
    from peopleinfo.stores.sqlite.store import SqliteStore  # noqa: PLC0415 - as below

    return opened.immediate if isinstance(opened, SqliteStore) else None


@asynccontextmanager
async def open_api_keys(settings: Settings, *, create: bool = False) -> AsyncIterator[ApiKeyStore]:
    """Open the API keys of the configured store. `create`: create a missing store. Raises StoreMissing, StoreConfigurationError."""
    async with _open_store(settings, create=create) as store:
        yield store.api_keys


def encryption_of(settings: Settings) -> Encryption | None:
    """Return the configured encryption at rest, None if it is off. Raises StoreConfigurationError if the key does not exist."""
    url = settings.encryption_url
    return Encryption(open_master_key(url), url.prefixes) if url else None


def open_master_key(url: EncryptionUrl) -> MasterKey:
    """Return a master key. Raises StoreConfigurationError if it does not exist."""
    from peopleinfo.crypto.master_key import FileMasterKey  # noqa: PLC0415 - as below

    if url.scheme == "aws-kms":
        from peopleinfo.crypto.kms import KmsMasterKey  # noqa: PLC0415 - as below

        return KmsMasterKey(url.key, region=url.region, endpoint=url.endpoint)
    return FileMasterKey(Path(url.key))


async def create_tables(settings: Settings) -> list[str]:
    """Create the missing tables of a DynamoDB store; return the errors of options that could not be set.

    Does nothing for SQLite. Raises StoreConfigurationError.
    """
    if not isinstance(settings.location, DynamoDBUrl):
        return []
    from peopleinfo.stores.dynamodb import tables  # noqa: PLC0415 - as below

    return await tables.create_tables(settings.location, encrypted=bool(settings.encryption))


async def check_tables(settings: Settings) -> list[str]:
    """Return the differences between the tables of a DynamoDB store and the required schema. Raises StoreConfigurationError."""
    if not isinstance(settings.location, DynamoDBUrl):
        return []
    from peopleinfo.stores.dynamodb import tables  # noqa: PLC0415 - as below

    return await tables.check_tables(settings.location, encrypted=bool(settings.encryption))


async def check_cache(settings: Settings) -> str | None:
    """Return the problem of the configured cache, None if it works."""
    from peopleinfo.stores.cached.redis_client import open_redis  # noqa: PLC0415 - as below
    from peopleinfo.stores.cached.shared import SharedCache  # noqa: PLC0415 - as below

    async with open_redis(settings.cache_url, user=settings.cache_user, password=settings.cache_password) as redis:
        if not await redis.reconnect():
            return f"{redis.last_error}; the service runs slower without it: check PEOPLEINFO_CACHE_URL"
        return await SharedCache(redis, bytes(32), ttl=settings.cache_ttl).eviction_problem()


def check_database_files(settings: Settings) -> list[tuple[Path, str]]:
    """Check the files of the SQLite store: return each file with its first problem or "". Empty for the DynamoDB store."""
    if isinstance(settings.location, DynamoDBUrl):
        return []
    from peopleinfo.stores.sqlite.integrity import examine  # noqa: PLC0415 - as below

    return list(examine(settings.location))


def is_store_file(path: Path, settings: Settings) -> bool:
    """Return whether a path is a file of the SQLite store, which must not be overwritten."""
    location = settings.location
    if isinstance(location, DynamoDBUrl):
        return False
    from peopleinfo.stores.sqlite.files import file_names, path_of_keys  # noqa: PLC0415 - as below

    return path.resolve() in {Path(name).resolve() for name in file_names([location, path_of_keys(location)])}


async def encrypt_store(settings: Settings, *, on_progress: Callable[[int], None]) -> int:
    """Encrypt all records of an unencrypted SQLite store that no service uses, and return their number.

    Raises StoreConfigurationError, InvalidSettings.
    """
    encryption = encryption_of(settings)
    if encryption is None:
        raise InvalidSettings("there is no master key: set PEOPLEINFO_ENCRYPTION (docs/encryption.md)")
    if isinstance(settings.location, DynamoDBUrl):
        raise InvalidSettings(
            "a DynamoDB table cannot be encrypted in place: copy it to an encrypted table (docs/encryption.md)"
        )
    from peopleinfo.stores.sqlite.encrypt_existing import encrypt_database  # noqa: PLC0415 - as below

    return encrypt_database(settings.location, encryption, on_progress=on_progress)


@asynccontextmanager
async def open_key_store(settings: Settings, encryption: Encryption, *, exclusive: bool) -> AsyncIterator[KeyStore]:
    """Open the key store of an encrypted store. `exclusive`: lock a SQLite file against all services.

    Raises StoreConfigurationError, InvalidSettings.
    """
    async with _open_store(settings, encryption):  # checks the store and its settings first
        pass
    if isinstance(settings.location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb.factory import open_table  # noqa: PLC0415 - as below
        from peopleinfo.stores.dynamodb.key_table import DynamoDBKeyStore  # noqa: PLC0415 - as below

        async with open_table(settings.location) as table:
            yield DynamoDBKeyStore(table.for_table(settings.location.key_table))
        return
    from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore, lock_exclusively  # noqa: PLC0415 - as below
    from peopleinfo.stores.sqlite.person_keys import open_key_db  # noqa: PLC0415 - as below

    with closing(open_key_db(settings.location)) as db:
        if exclusive:
            lock_exclusively(db, settings.location)
        yield SqliteKeyStore(db)


def index_plan(settings: Settings) -> IndexPlan:
    """Return the configured search indexes."""
    identifiers, unique = parse_identifiers(settings.identifiers)
    return IndexPlan(parse_indexes(settings.search_indexes), identifiers, unique)


def _open_store(
    settings: Settings, encryption: Encryption | None = None, *, create: bool = False
) -> AbstractAsyncContextManager[OpenedStore]:
    location, encryption = settings.location, encryption or encryption_of(settings)
    limits = HistoryLimits(*parse_history(settings.history), parse_days("CHANGES", settings.changes, "35d"))
    # Imported here, because each store needs libraries that the other does not.
    if isinstance(location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb.factory import open_dynamodb  # noqa: PLC0415

        return open_dynamodb(
            location, now=utc_now, encryption=encryption, limits=limits, create=create, plan=index_plan(settings)
        )
    from peopleinfo.stores.sqlite.factory import open_sqlite  # noqa: PLC0415

    return open_sqlite(
        location,
        now=utc_now,
        encryption=encryption,
        limits=limits,
        create=create,
        plan=index_plan(settings),
    )
