"""Answers that are made to fill the operator's memory, and the largest that a store gives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sdg_operator.clients.guard import MAX_ANSWER_BYTES, guard
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import StorageUnavailable
from tests.integration.peak import fresh_peak_bytes, peak_bytes
from tests.integration.storage.answers import Answer, faulty_store

MIB = 1 << 20
NAMESPACE = b"http://s3.amazonaws.com/doc/2006-03-01/"


@contextmanager
def guarded(body: bytes) -> Iterator[S3Store]:
    """A store that answers so to all that it is asked."""
    with faulty_store(lambda _: Answer(200, body=body)) as endpoint:
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_S3_BUCKET": "bucket"}
        settings = S3Settings.from_secret(keys | {"AWS_S3_ENDPOINT": endpoint})
        store = S3Store(settings, attempts=1, prepare=lambda client: guard(client, ()))
        yield store
        store.close()


def listing(content: bytes, before: bytes = b"", namespace: bytes = NAMESPACE) -> bytes:
    end = b"<IsTruncated>false</IsTruncated></ListBucketResult>"
    return b'%s<ListBucketResult xmlns="%s">%s%s' % (before, namespace, content, end)


def test_the_longest_page_of_a_listing_is_read() -> None:
    one = (
        "<Contents><Key>a=%d/&amp;{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        "<ETag>&quot;0123456789abcdef0123456789abcdef-1000&quot;</ETag><Size>1099511627776</Size>"
        "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        "<Owner><ID>{owner}</ID><DisplayName>{owner}</DisplayName></Owner>"
        "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"
        "<StorageClass>STANDARD</StorageClass></Contents>\n"
    ).format(key="=é" * 330, owner="0" * 64)
    with guarded(listing("".join(one % number for number in range(1000)).encode())) as store:
        assert len(list(store.list(""))) == 1000


FILL = 4 * MIB - 300
HOSTILE: dict[str, Callable[[], bytes]] = {
    "more than any answer has": lambda: listing(b" " * MAX_ANSWER_BYTES),
    "elements": lambda: listing(b"<a/>" * (FILL // 4)),
    "attributes": lambda: listing(b"<a %s/>" % b" ".join(b'a%d=""' % number for number in range(300_000))),
    "entities": lambda: listing(b"<Key>&a;</Key>" * 1000, b'<!DOCTYPE a [<!ENTITY a "%s">]>' % (b"x" * MIB)),
    "attributes that are not written": lambda: listing(
        b"<a/>" * 1000, b'<!DOCTYPE a [<!ATTLIST a b CDATA "%s">]>' % (b"x" * MIB)
    ),
    "names": lambda: listing(b"".join(b"<a%d/>" % number for number in range(1000)), namespace=b"x" * MIB),
    "names, quoted otherwise": lambda: listing(
        b"<a xmlns = \n'%s'>%s</a>" % (b'"' * MIB, b"".join(b"<a%d/>" % number for number in range(1000)))
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_that_grows_in_memory_is_none(name: str) -> None:
    with guarded(HOSTILE[name]()) as store:
        before = fresh_peak_bytes()
        with pytest.raises(StorageUnavailable):
            list(store.list(""))
        assert peak_bytes() - before < 48 * MIB


def test_a_proxys_page_is_told_as_what_it_is() -> None:
    page = b'<!DOCTYPE html><html lang="en"><body>Welcome</body></html>'
    with guarded(page) as store, pytest.raises(Exception, match="does not answer as S3 does"):
        list(store.list(""))
