"""Listeners and connections: one thread each, so that one that hangs harms no other."""

import itertools
import socket
import ssl
import sys
import threading
import traceback

from . import transport
from .answers import error_answer
from .http_request import BadRequest, Gone, Reader

IDLE_SECONDS = 600
HANDSHAKE_SECONDS = 60

connection_numbers = itertools.count(1)


def bound_socket(address='127.0.0.1'):
    """A socket on a port that the kernel picks."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((address, 0))
    return sock


def url_of(sock, scheme='https'):
    host, port = sock.getsockname()[:2]
    return f'{scheme}://[{host}]:{port}' if ':' in host else f'{scheme}://{host}:{port}'


def tls_context(certificate, key, version=None, protocol='http/1.1'):
    """A server's context; version narrows it to one version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if version is not None:
        # Old versions need more than a permission: OpenSSL 3 has them only at level 0.
        context.set_ciphers('DEFAULT:@SECLEVEL=0')
        context.minimum_version = context.maximum_version = version
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([protocol])
    return context


class Listener:
    """Accepts connections; context None means plain HTTP."""

    def __init__(self, name, service, context=None, address='127.0.0.1',
                 connection_class=None):
        self.name = name
        self.connection_class = connection_class or Connection
        self.service = service
        self.context = context
        self.sock = bound_socket(address)
        self.url = url_of(self.sock, 'https' if context else 'http')

    def start(self):
        self.sock.listen(1024)
        threading.Thread(target=self._accept, name=self.name, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError as error:  # out of descriptors: leave time to get some back
                print(f'{self.name}: {error}', file=sys.stderr, flush=True)
                threading.Event().wait(0.1)
                continue
            connection = self.connection_class(sock, self)
            threading.Thread(target=connection.run, daemon=True).start()


class Connection:
    """Serves the requests of one client, one after the other."""

    def __init__(self, sock, listener):
        self.sock = sock
        self.listener = listener
        self.number = next(connection_numbers)
        self.requests = 0

    def run(self):
        try:
            self._prepare()
            while self._serve_one():
                pass
        except (OSError, Gone):
            pass  # clients come and go
        except Exception:
            traceback.print_exc()
        finally:
            self.sock.close()

    def _prepare(self):
        # The handshake is in this thread, so a slow client holds up no accept().
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.listener.context:
            self.sock.settimeout(HANDSHAKE_SECONDS)
            self.sock = self.listener.context.wrap_socket(
                self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock.do_handshake()
        self.sock.settimeout(IDLE_SECONDS)
        self.reader = Reader(self.sock)

    def _serve_one(self):
        try:
            request = self.reader.request()
        except BadRequest as error:
            bad = error_answer(400, str(error), shape='text')
            self.sock.sendall(transport.head(bad, close=True) + bad.body)
            return False
        if request is None:
            return False
        self.sock.settimeout(IDLE_SECONDS)  # a fault may have made it shorter
        self.requests += 1
        request.connection = self.number
        request.connection_request = self.requests
        request.listener = self.listener.name
        request.tls = self.sock.version() if self.listener.context else None

        answer, fault = self.listener.service.answer(request)
        return transport.send(self.sock, request, answer, fault)
