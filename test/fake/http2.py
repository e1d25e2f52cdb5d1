"""A little HTTP/2, for what only its frames can do to a client.

Not Flow Service: it reads no header, and answers a POST of {"name": ...} with
201 and the id at the end of that name.  A name may ask for more:

  ping, settings, unknown, data   such frames without end, instead of an answer
  continuation                    headers without end
  unasked                         an answer to a request that is still to come, too
  restless                        a ping a little later, when the connection is idle
  leaving                         then it says farewell, and hangs up
"""

import json
import re
import select
import ssl
import struct
import time

from .http_request import Gone
from .http_server import Connection

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, SETTINGS, PING, GOAWAY, CONTINUATION, UNKNOWN = 0, 1, 4, 6, 7, 9, 0xbb
END_STREAM = ACK = 1
END_HEADERS = 4
UNASKED_ID = '99999999-9999-4999-8999-999999999999'
UUID = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
LATER = 4
MOST_AT_ONCE = 1024 * 1024


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


SETTINGS_FRAME = frame(SETTINGS, 0, 0)
PING_FRAME = frame(PING, 0, 0, b'and more')
ANSWERED = (SETTINGS_FRAME, PING_FRAME)
FAREWELLS = {'restless': PING_FRAME, 'leaving': frame(GOAWAY, 0, 0, struct.pack('>II', 1, 0))}


def header(name, value):
    """Spelt out, in no table."""
    return b'\x00%c%s%c%s' % (len(name), name, len(value), value)


def answer(stream, identifier):
    body = json.dumps({'id': identifier, 'etag': '"of HTTP/2"'}).encode()
    head = header(b':status', b'201') + header(b'content-type', b'application/json')
    return frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, body)


def flood(kind, stream):
    """What comes first, and what comes again and again; None if it is no flood."""
    head = header(b':status', b'201')
    parts = {
        'ping': (b'', PING_FRAME),
        'settings': (b'', SETTINGS_FRAME),
        'unknown': (b'', frame(UNKNOWN, 0, 0)),
        'data': (frame(HEADERS, END_HEADERS, stream, head), frame(DATA, 0, stream)),
        'continuation': (frame(HEADERS, 0, stream, head),
                         frame(CONTINUATION, 0, stream, header(b'x-more', b'and more')))}
    return parts.get(kind)


class Http2Connection(Connection):
    """Serves one client; single-threaded, like its TLS."""

    def _prepare(self):
        super()._prepare()
        self.buffer = b''
        self.bodies = {}
        if self._take(len(PREFACE)) != PREFACE:
            raise Gone
        self.sock.sendall(SETTINGS_FRAME)

    def _serve_one(self):
        head = self._take(9)
        kind, flags, stream = struct.unpack('>BBI', head[3:])
        payload = self._take(int.from_bytes(head[:3], 'big'))
        if kind == SETTINGS and not flags & ACK:
            self.sock.sendall(frame(SETTINGS, ACK, 0))
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b'') + payload
            if flags & END_STREAM:
                self._answer(stream, json.loads(self.bodies.pop(stream))['name'])
        return True

    def _answer(self, stream, name):
        kind = name.split()[0]
        parts = flood(kind, stream)
        if parts:
            self._flood(*parts)
        identifier = UUID.search(name)[0]
        more = answer(stream + LATER, UNASKED_ID) if kind == 'unasked' else b''
        self.sock.sendall(answer(stream, identifier) + more)
        if kind in FAREWELLS:
            time.sleep(0.05)
            self.sock.sendall(FAREWELLS[kind])
        if kind == 'leaving':
            raise Gone

    def _flood(self, first, more):
        """Sends for ever, and reads what the client says to it, or that would stop us."""
        again = more * (1 + MOST_AT_ONCE // len(more))
        self.sock.sendall(first)
        if more not in ANSWERED:
            while True:
                self.sock.sendall(again)
        self.sock.setblocking(False)
        while True:
            try:
                self.sock.send(again)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([self.sock], [self.sock], [])
            try:
                if not self.sock.recv(MOST_AT_ONCE):
                    raise Gone
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass

    def _take(self, size):
        while len(self.buffer) < size:
            data = self.sock.recv(MOST_AT_ONCE)
            if not data:
                raise Gone
            self.buffer += data
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken
