"""Connections to servers that users name: never to a denied address, never more than is bounded, cut off when told.

boto3 bounds single reads and no whole: a store that sends one byte every few seconds would hold a thread for ever, one
that never ends a listing would fill the memory, and a name may lead elsewhere at the second look-up than at the first.
So its connections are replaced by these; botocore has no public place for that, and a test tells when its own changes.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.response import BaseHTTPResponse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Range = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_ANSWER_BYTES: Final = 4 * 2**20
"""Bound on an answer that boto3 reads whole: a page of 1,000 keys of 1,024 bytes each has less than half of it."""
_MAX_MARKS: Final = 200_000
"""Elements and attributes take a hundred times their bytes; a page of 1,000 keys has some 20,000."""
_DECLARED: Final = re.compile(rb"<!(?:ENTITY|ATTLIST)")
_LONG_VALUE: Final = re.compile(rb"""=\s*+(?:"[^"]{256}|'[^']{256})""")

_this_thread = threading.local()


class Denied(OSError):
    """The address may not be talked to."""


class Call:
    """Work of one thread that another thread may cut off. ``with call:`` in the thread that works."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    def __enter__(self) -> "Call":
        _this_thread.call = self
        return self

    def __exit__(self, *_: object) -> None:
        _this_thread.call = None
        with self._lock:
            self._socket = None

    def cut_off(self) -> None:
        """Have the thread's next or present read fail at once."""
        with self._lock:
            self._cut = True
            if self._socket is not None:
                with suppress(OSError):  # it has ended by itself
                    self._socket.shutdown(socket.SHUT_RDWR)

    def uses(self, sock: socket.socket | None) -> None:
        """Take note of the connection that is read from next. Raises `TimeoutError` once the call is cut off."""
        with self._lock:
            if self._cut:
                raise TimeoutError("the call was cut off")
            self._socket = sock


def denied(address: str, ranges: Sequence[Range]) -> bool:
    """Whether an address lies in one of the ranges; an IPv4 address inside an IPv6 one counts as itself."""
    number = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    inner = getattr(number, "ipv4_mapped", None) or number
    return any(inner in one for one in ranges if one.version == inner.version)


def guard(client: "S3Client", ranges: Sequence[Range]) -> None:
    """Have a boto3 client connect by guarded connections only."""

    class Guarded:
        sock: socket.socket | None

        def request(self, *arguments: Any, **options: Any) -> Any:
            _note(self.sock)
            return super().request(*arguments, **options)  # type: ignore[misc]

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()  # type: ignore[misc]
            peer = str(sock.getpeername()[0])
            # A proxy's address is the administrator's choice.
            if not getattr(self, "proxy", None) and denied(peer, ranges):
                sock.close()
                raise Denied(f"{peer} is not allowed")
            _note(sock)
            return sock

        def getresponse(self) -> BaseHTTPResponse:
            # Before the headers are read: afterwards an answer without a length has taken the socket for itself.
            _note(self.sock)
            response: BaseHTTPResponse = super().getresponse()  # type: ignore[misc]
            response.stream = _bounded(response)  # type: ignore[method-assign]
            return response

    class Connection(Guarded, AWSHTTPConnection):  # type: ignore[misc]
        pass

    class SecureConnection(Guarded, AWSHTTPSConnection):  # type: ignore[misc]
        pass

    class Pool(AWSHTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(AWSHTTPSConnectionPool):
        ConnectionCls = SecureConnection

    session: Any = client._endpoint.http_session  # type: ignore[attr-defined]
    session._pool_classes_by_scheme |= {"http": Pool, "https": SecurePool}


def _note(sock: socket.socket | None) -> None:
    call: Call | None = getattr(_this_thread, "call", None)
    if call:
        call.uses(sock)


def _bounded(response: BaseHTTPResponse) -> Callable[..., Iterator[bytes]]:
    whole = response.stream

    def stream(amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        content = bytearray()
        for part in whole(amt, decode_content):
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                response.close()
                raise OSError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
        if _grows(content):
            raise OSError("the answer would take far more memory than it has bytes")
        yield bytes(content)

    return stream


def _grows(xml: bytearray) -> bool:
    """Whether its text says more than it is long: by very many elements, by words that stand for others, or by a
    namespace of great length, which becomes a part of each element's name. None of S3's answers does."""
    if sum(map(xml.count, (b"<", b"'", b'"'))) > _MAX_MARKS or _DECLARED.search(xml):
        return True
    return b"xmlns" in xml and _LONG_VALUE.search(xml) is not None
