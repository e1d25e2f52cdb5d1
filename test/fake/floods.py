"""Answers that go on and on, and those that unpack to no end."""

import struct
import zlib

KINDS = ('early', 'headers', 'header', 'body', 'blocks', 'extension', 'trailers')

GZIP_HEAD = b'\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff'
# A block of nothing, for deflate: however many there are, nothing comes out.
EMPTY_BLOCK = b'\x00\x00\x00\xff\xff'
BLOCK_SIZE = 256 * 1024

HEAD = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n'
CHUNKED = HEAD + b'Transfer-Encoding: chunked\r\n'

_bombs = {}


def _chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


def _parts(kind):
    """What comes first, and what comes again and again."""
    if kind == 'early':
        return b'', b'HTTP/1.1 103 Early Hints\r\nLink: </more>; rel=preload\r\n\r\n'
    if kind == 'headers':
        return HEAD, b'X-More: and more and more\r\n'
    if kind == 'header':
        return HEAD + b'X-More: ', b'and more '
    if kind == 'body':
        return CHUNKED + b'\r\n', _chunk(b' ' * 1000)
    if kind == 'blocks':
        return (CHUNKED + b'Content-Encoding: gzip\r\n\r\n' + _chunk(GZIP_HEAD),
                _chunk(EMPTY_BLOCK * 3000))
    if kind == 'extension':
        return CHUNKED + b'\r\n2;more=', b'and more'
    return CHUNKED + b'\r\n' + _chunk(b'{}') + b'0\r\n', b'X-More: and more\r\n'


def send(sock, kind):
    """Sends until the client has gone."""
    first, more = _parts(kind)
    sock.sendall(first)
    again = more * (1 + BLOCK_SIZE // len(more))
    while True:
        sock.sendall(again)


def bomb(layers):
    """So many layers of gzip, the innermost of blocks of nothing: 20 GB of them."""
    if layers not in _bombs:
        packed = GZIP_HEAD + EMPTY_BLOCK * 1000
        if layers > 1:
            # after a full flush the same bytes may stand again and again
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
            once = deflate.compress(EMPTY_BLOCK * 200000) + deflate.flush(zlib.Z_FULL_FLUSH)
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
            start = deflate.compress(GZIP_HEAD) + deflate.flush(zlib.Z_FULL_FLUSH)
            packed = GZIP_HEAD + start + once * 20000
        for _ in range(layers - 2):
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
            data = deflate.compress(packed) + deflate.flush()
            packed = GZIP_HEAD + data + struct.pack('<II', zlib.crc32(packed), len(packed))
        _bombs[layers] = packed
    return _bombs[layers]
