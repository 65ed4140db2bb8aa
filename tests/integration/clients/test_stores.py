"""Users' buckets: good ones work, and hostile ones cost the operator bounded time and memory, and nothing else."""

import asyncio
import contextlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from hack.cluster.apiserver import ApiAccess
from hack.cluster.s3 import S3Access
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.protocols import SecretRef
from sdg_operator.clients.stores import SecretStores
from sdg_operator.storage.store import StorageError, StorageRefused, StorageUnavailable
from tests.integration.peak import fresh_peak_bytes, peak_bytes

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


class HostileServer:
    """Accepts connections on loopback and has `behave` treat each; counts them."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._behave = behave
        self.connections = 0
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._treat, args=(connection,), daemon=True).start()

    def _treat(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            self._behave(connection)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def hostile() -> Iterator[Callable[[Callable[[socket.socket], None]], HostileServer]]:
    servers: list[HostileServer] = []

    def start(behave: Callable[[socket.socket], None]) -> HostileServer:
        servers.append(HostileServer(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def never_ending_listing(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n<ListBucketResult>")
    while True:
        connection.sendall(b"<Contents><Key>x</Key></Contents>" * 4096)


def one_byte_a_moment(connection: socket.socket) -> None:
    """Each byte is in time for a time-out of single reads."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.1)


def headers_for_ever(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def a_page_with_secrets(connection: socket.socket) -> None:
    body = b"<html>the metadata service says: TOP-SECRET-TOKEN</html>"
    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@asynccontextmanager
async def stores(server: ApiAccess, **options: object) -> AsyncIterator[SecretStores]:
    async with connect(server.kubeconfig) as api:
        chosen = {"call_seconds": 1.0, "total_seconds": 2.0} | options
        found = SecretStores(api, **chosen)  # type: ignore[arg-type]
        try:
            yield found
        finally:
            found.close()


def secret(server: ApiAccess, namespace: str, name: str = "sdg-storage", **keys: str) -> SecretRef:
    base = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_S3_BUCKET": "bucket"}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": base | keys,
    }
    server.kubectl("apply", "--filename=-", stdin=json.dumps(body))
    return SecretRef(namespace, name)


def good(server: ApiAccess, namespace: str, s3: S3Access, bucket: str, name: str = "sdg-storage") -> SecretRef:
    return secret(
        server,
        namespace,
        name,
        AWS_S3_ENDPOINT=s3.endpoint,
        AWS_S3_BUCKET=bucket,
        AWS_ACCESS_KEY_ID=s3.access_key,
        AWS_SECRET_ACCESS_KEY=s3.secret_key,
    )


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.02)


async def listed(found: SecretStores, where: SecretRef) -> StorageError:
    """What listing it raises."""
    with pytest.raises(StorageError) as raised:
        await found.run(where, lambda store: list(store.list("")))
    return raised.value


async def test_a_good_store_is_written_and_read(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, bucket: str
) -> None:
    where = good(api_server, namespace, s3_server, bucket)
    async with stores(api_server, call_seconds=10.0, total_seconds=30.0) as found:
        assert await found.bucket(where) == bucket
        await found.run(where, lambda store: store.put_bytes("a/b", b"content"))
        assert await found.run(where, lambda store: store.get_bytes("a/b", 100)) == b"content"
        assert await found.run(where, lambda store: [info.key for info in store.list("a/")]) == ["a/b"]


async def test_changed_credentials_are_taken_up_with_the_next_call(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, bucket: str
) -> None:
    where = secret(api_server, namespace, AWS_S3_ENDPOINT=s3_server.endpoint, AWS_S3_BUCKET=bucket)
    async with stores(api_server, call_seconds=10.0, total_seconds=30.0) as found:
        assert isinstance(await listed(found, where), StorageRefused)
        good(api_server, namespace, s3_server, bucket)
        assert await found.run(where, lambda store: list(store.list(""))) == []


async def test_a_missing_secret_and_a_missing_key_are_named(api_server: ApiAccess, namespace: str) -> None:
    async with stores(api_server) as found:
        nowhere = await listed(found, SecretRef(namespace, "no-such"))
        assert isinstance(nowhere, StorageRefused)
        assert nowhere.reason == "SecretNotFound"
        assert "no-such" in nowhere.message
        where = secret(api_server, namespace, AWS_S3_BUCKET="")
        incomplete = await listed(found, where)
        assert (incomplete.reason, "AWS_S3_BUCKET" in incomplete.message) == ("SecretKeyMissing", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "127.1"])
async def test_a_denied_address_is_refused_however_it_is_written(
    api_server: ApiAccess, namespace: str, s3_server: S3Access, host: str
) -> None:
    where = secret(api_server, namespace, AWS_S3_ENDPOINT=f"http://{host}:{s3_server.port}")
    async with stores(api_server, denied_ranges=(*LOOPBACK, ipaddress.ip_network("::1/128"))) as found:
        refused = await listed(found, where)
    assert (type(refused), refused.reason) == (StorageRefused, "AddressDenied"), refused


async def test_a_name_that_leads_elsewhere_at_the_second_look_is_not_connected_to(
    api_server: ApiAccess,
    namespace: str,
    hostile: Callable[[Callable[[socket.socket], None]], HostileServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the check sees a public address, the connection a moment later the denied one."""
    server = hostile(never_ending_listing)
    port = int(server.endpoint.rpartition(":")[2])
    real, looks = socket.getaddrinfo, 0

    def rebinding(host: str, *rest: object, **options: object) -> object:
        nonlocal looks
        if host != "rebinding.example":
            return real(host, *rest, **options)  # type: ignore[arg-type]
        looks += 1
        address = "198.51.100.7" if looks == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    where = secret(api_server, namespace, AWS_S3_ENDPOINT=f"http://rebinding.example:{port}")
    async with stores(api_server, denied_ranges=LOOPBACK) as found:
        assert isinstance(await listed(found, where), StorageUnavailable)
    assert looks > 1


@pytest.mark.deep
@pytest.mark.parametrize("behave", [one_byte_a_moment, headers_for_ever])
async def test_a_dripping_store_costs_its_time_and_gives_its_thread_back(
    api_server: ApiAccess,
    namespace: str,
    hostile: Callable[[Callable[[socket.socket], None]], HostileServer],
    behave: Callable[[socket.socket], None],
) -> None:
    where = secret(api_server, namespace, AWS_S3_ENDPOINT=hostile(behave).endpoint)
    async with stores(api_server) as found:
        began = time.monotonic()
        slow = await listed(found, where)
        assert (slow.reason, time.monotonic() - began < 6) == ("Timeout", True)
        await until(lambda: found.running == 0)


@pytest.mark.deep
async def test_a_listing_without_end_costs_bounded_memory(
    api_server: ApiAccess, namespace: str, hostile: Callable[[Callable[[socket.socket], None]], HostileServer]
) -> None:
    where = secret(api_server, namespace, AWS_S3_ENDPOINT=hostile(never_ending_listing).endpoint)
    async with stores(api_server, total_seconds=30.0) as found:
        before = fresh_peak_bytes()
        assert isinstance(await listed(found, where), StorageUnavailable)
        assert peak_bytes() - before < 150 * 2**20


async def test_nothing_that_a_server_says_reaches_a_message(
    api_server: ApiAccess, namespace: str, hostile: Callable[[Callable[[socket.socket], None]], HostileServer]
) -> None:
    where = secret(api_server, namespace, AWS_S3_ENDPOINT=hostile(a_page_with_secrets).endpoint)
    async with stores(api_server) as found:
        assert "TOP-SECRET" not in str(await listed(found, where))


@pytest.mark.deep
async def test_a_silent_store_is_left_alone_after_three_tries_and_hinders_no_other(
    api_server: ApiAccess,
    namespace: str,
    s3_server: S3Access,
    bucket: str,
    hostile: Callable[[Callable[[socket.socket], None]], HostileServer],
) -> None:
    silent = hostile(lambda _: time.sleep(30))
    bad = secret(api_server, namespace, "bad", AWS_S3_ENDPOINT=silent.endpoint)
    fine = good(api_server, namespace, s3_server, bucket, "fine")
    async with stores(api_server, call_seconds=3.0, total_seconds=10.0) as found:
        reasons = [(await listed(found, bad)).reason for _ in range(3)]
        assert "CircuitOpen" not in reasons
        tried = silent.connections
        began = time.monotonic()
        assert {(await listed(found, bad)).reason for _ in range(5)} == {"CircuitOpen"}
        assert time.monotonic() - began < 4, "five calls that were made would take three seconds each"
        assert silent.connections == tried
        assert await found.run(fine, lambda store: list(store.list(""))) == []


@pytest.mark.deep
async def test_forty_calls_of_a_silent_store_leave_threads_for_others(
    api_server: ApiAccess,
    namespace: str,
    s3_server: S3Access,
    bucket: str,
    hostile: Callable[[Callable[[socket.socket], None]], HostileServer],
) -> None:
    silent = hostile(lambda _: time.sleep(30))
    bad = secret(api_server, namespace, "bad", AWS_S3_ENDPOINT=silent.endpoint)
    other = f"{namespace}-other"
    api_server.kubectl("create", "namespace", other)
    fine = good(api_server, other, s3_server, bucket)
    async with stores(api_server, call_seconds=5.0, total_seconds=10.0) as found:
        calls = [asyncio.create_task(listed(found, bad)) for _ in range(40)]
        await until(lambda: silent.connections >= 4)
        began = time.monotonic()
        assert await found.run(fine, lambda store: list(store.list(""))) == []
        assert time.monotonic() - began < 9, "no call of the silent store has ended yet"
        assert found.running == 4, "no more threads than one namespace may hold"
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    api_server.kubectl("delete", "namespace", other, "--wait=false")
