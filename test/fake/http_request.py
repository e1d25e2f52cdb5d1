"""Reads HTTP/1.1 requests from a socket.

Strict where a lenient server would hide a client's fault: a header that a
value broke in two, a missing Host, a body that is not as long as announced.
"""

import re
import select
import time
import urllib.parse

MAX_HEAD = 256 * 1024
# A fault that acts while a body arrives must be found in the part that is there.
PEEK_FROM = 1024 * 1024
PEEK_SIZE = 64 * 1024
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*)")


class Gone(Exception):
    """The client went away, or has to be hung up on."""


class BadRequest(Exception):
    """Not HTTP as we understand it."""


class Request:
    """One request, completely read."""

    def __init__(self, method, target, headers):
        self.method = method
        self.target = target
        self.headers = headers
        self.body = b''
        self.path, _, self.query_text = target.partition('?')
        if '+' in self.query_text:
            raise BadRequest('a blank in a query is %20; forms alone have +')
        try:
            pairs = urllib.parse.parse_qsl(
                self.query_text, keep_blank_values=True, errors='strict')
            self.path = urllib.parse.unquote(self.path, errors='strict')
        except UnicodeDecodeError as error:
            raise BadRequest('the URL is not UTF-8') from error
        self.query = {}
        for name, value in pairs:
            self.query.setdefault(name, []).append(value)
        # set by the connection
        self.connection = self.connection_request = 0
        self.listener = self.tls = None

    def header(self, name):
        return self.headers.get(name)


class Reader:
    """Turns the bytes of one connection into requests."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()

    def request(self):
        """The next request; None when the client closed the connection between two."""
        head = self._head()
        if head is None:
            return None
        lines = head.split(b'\r\n')
        try:
            method, target, version = lines[0].decode('ascii').split(' ')
        except ValueError as error:
            raise BadRequest('malformed request line') from error
        if version != 'HTTP/1.1':
            raise BadRequest('HTTP/1.1 only')
        request = Request(method, target, self._headers(lines[1:]))
        if 'host' not in request.headers:
            raise BadRequest('no Host header')
        if request.header('expect') == '100-continue':
            self.sock.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        if 'transfer-encoding' in request.headers:
            request.body = self._chunks()
        elif 'content-length' in request.headers:
            request.body = self._sized(request.header('content-length'))
        return request

    def _head(self):
        while (end := self.buffer.find(b'\r\n\r\n')) < 0:
            if len(self.buffer) > MAX_HEAD:
                raise BadRequest('the headers are too long')
            if not self._receive():
                if self.buffer:
                    raise Gone
                return None
        return self._take(end, 4)

    @staticmethod
    def _headers(lines):
        headers = {}
        for line in lines:
            match = HEADER.fullmatch(line)
            if not match:
                raise BadRequest('malformed header')
            name = match[1].decode('ascii').lower()
            value = match[2].rstrip(b' \t').decode('latin-1')
            headers[name] = f'{headers[name]}, {value}' if name in headers else value
        return headers

    def _sized(self, length):
        if not re.fullmatch('[0-9]{1,12}', length):
            raise BadRequest('malformed Content-Length')
        size = int(length)
        if size > PEEK_FROM:
            self._fill(PEEK_SIZE)
            if b'read_slow=1' in self.buffer[:PEEK_SIZE]:
                wait_until_gone(self.sock, 60)
                raise Gone
        self._fill(size)
        return self._take(size)

    def _chunks(self):
        body = bytearray()
        while True:
            while (end := self.buffer.find(b'\r\n')) < 0:
                if not self._receive():
                    raise Gone
            line = self._take(end, 2).split(b';')[0]
            if not re.fullmatch(rb'[0-9A-Fa-f]{1,8}', line):
                raise BadRequest('malformed chunk')
            size = int(line, 16)
            self._fill(size + 2)
            body += self._take(size, 2)
            if size == 0:
                return bytes(body)

    def _fill(self, size):
        while len(self.buffer) < size:
            if not self._receive():
                raise Gone

    def _receive(self):
        data = self.sock.recv(256 * 1024)
        self.buffer += data
        return bool(data)

    def _take(self, size, separator=0):
        data = bytes(self.buffer[:size])
        del self.buffer[:size + separator]
        return data


def wait_until_gone(sock, seconds):
    """Waits until the client hangs up, at most so long; says whether it did.

    Looks at the TCP state, so that it works below TLS and with unread data.
    """
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            return True
    return False
