"""The server process: listeners, files, signals, end."""

import fcntl
import json
import os
import signal
import socket
import ssl
import warnings

from .certificates import Certificates
from .http2 import Http2Connection
from .http_server import Listener, bound_socket, tls_context, url_of
from .ims import PATH as IMS_PATH
from .recorder import Recorder
from .service import Service

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Silent:
    """Accepts connections and never says a word, so a TLS handshake never ends."""

    def __init__(self):
        self.sock = bound_socket()
        self.sock.listen(1024)


class Full:
    """A listening socket with no room for one more, so connect() never ends."""

    def __init__(self):
        self.sock = bound_socket()
        self.sock.listen(0)
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.sock.getsockname())
            self._fillers.append(filler)


def run(options):
    """Serves until a signal comes or the parent is gone."""
    os.makedirs(options.dir, exist_ok=True)
    lock = open(os.path.join(options.dir, 'lock'), 'w', encoding='ascii')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f'a fake Flow Service runs in {options.dir} already') from None

    # Blocked before any thread exists, so that only sigtimedwait() gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    certificates = Certificates(options.dir)
    recorder = Recorder(os.path.join(options.dir, 'requests.jsonl'), options.record_secrets)
    service = Service(options, recorder)
    listeners = _listeners(service, certificates)
    # Bound, but not listening: nobody else can get the port either.
    refused, silent, full = bound_socket(), Silent(), Full()
    for listener in listeners:
        listener.start()

    addresses = {listener.name: listener.url for listener in listeners}
    addresses.update(refused=url_of(refused), tls_stall=url_of(silent.sock),
                     full_backlog=url_of(full.sock))
    addresses.update(ims=addresses['https'] + IMS_PATH, pid=os.getpid(),
                     ca_file=os.path.abspath(certificates.ca_file))
    _write(options.dir, 'ready.json', addresses)
    _wait(options, service)
    os._exit(0)  # the threads of hanging clients are not waited for


def _listeners(service, certificates):
    localhost = certificates.leaf('localhost')
    good = tls_context(localhost, certificates.key)
    good2 = tls_context(localhost, certificates.key, protocol='h2')
    wrong_name = tls_context(
        certificates.leaf('other.example.com', 'DNS:other.example.com'), certificates.key)
    expired = tls_context(certificates.leaf('expired', expired=True), certificates.key)
    unknown = tls_context(
        certificates.leaf('unknown', ca_file=certificates.other_ca_file), certificates.key)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        old = tls_context(certificates.leaf('tls11'), certificates.key, ssl.TLSVersion.TLSv1_1)
    listeners = [
        Listener('http2', service, good2, connection_class=Http2Connection),
        Listener('https', service, good), Listener('http', service),
        Listener('wrong_name', service, wrong_name), Listener('expired', service, expired),
        Listener('unknown_ca', service, unknown), Listener('tls11', service, old)]
    try:
        listeners.append(Listener('https6', service, good, '::1'))
    except OSError:
        pass  # no IPv6 here
    return listeners


def _wait(options, service):
    parent = _life_of(options.parent_pid)
    while True:
        caught = signal.sigtimedwait(SIGNALS, 1)
        if caught is None:
            if parent != _life_of(options.parent_pid):
                return
        elif caught.si_signo == signal.SIGUSR1:
            _write(options.dir, 'state.json', service.state())
        else:
            return


def _life_of(pid):
    """Tells one process from a later one with its number; None if it is gone."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
            fields = file.read().rsplit(')', 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in 'ZX' else fields[19]  # state, start time


def _write(folder, name, value):
    """Writes a file that is complete when it appears."""
    path = os.path.join(folder, name)
    with open(path + '.new', 'w', encoding='ascii') as file:
        json.dump(value, file, indent=1)
        file.write('\n')
    os.rename(path + '.new', path)
