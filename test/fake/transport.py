"""Sends an answer, whole or broken the way a fault asks for."""

import gzip
import socket
import struct
import time
from email.utils import formatdate

from . import floods
from .answers import REASONS, json_answer
from .http_request import Gone, wait_until_gone

HANG_SECONDS = 60
TRANSFER = 'Transfer-Encoding'
PACK_FROM = 4096
UNASKED = ('joined', 'split', 'next', 'later')
UNASKED_ID = '99999999-9999-4999-8999-999999999999'


def head(answer, close=False):
    """The status line and the headers."""
    lines = [f'HTTP/1.1 {answer.status} {REASONS.get(answer.status, "Unknown")}']
    if answer.chunked:
        # last of those that there may be
        lines += [f'{name}: {value}' for name, value in answer.headers if name == TRANSFER]
        lines.append(TRANSFER + ': chunked')
    elif answer.status != 204:
        lines.append(f'Content-Length: {len(answer.body)}')
    if answer.body or answer.chunked:
        lines.append('Content-Type: ' + answer.content_type)
    lines += [f'{name}: {value}' for name, value in answer.headers
              if name != TRANSFER or not answer.chunked]
    if close:
        lines.append('Connection: close')
    lines.append('Date: ' + formatdate(usegmt=True))
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')


def send(sock, request, answer, fault):
    """Sends the answer; returns whether the connection lives on."""
    _pack(request, answer)
    keep = (request.header('connection') or '').lower() != 'close'
    start = head(answer, not keep)
    body = _chunked(answer.body) if answer.chunked else answer.body
    if request.method == 'HEAD':
        body = b''
    if fault is None:
        sock.sendall(start + body)
        return keep

    if 'delay' in fault:
        if wait_until_gone(sock, fault.number('delay')):
            raise Gone
    _break(sock, request, fault, start, body)
    if 'drip' in fault:
        _drip(sock, start + body, fault.number('drip'))
    elif 'unasked' in fault:
        _send_two(sock, start, body, fault['unasked'])
    else:
        sock.sendall(start + body)
    if 'close_after' in fault:
        # The connection is closed while idle, unless the next request comes first.
        sock.settimeout(fault.number('close_after'))
    return keep


def _break(sock, request, fault, start, body):
    """Carries out the faults after which the connection is gone."""
    # In the middle of the headers means within the last one: a client that takes
    # what came for all of it has seen the length, and can miss the body.
    middles = {'before': b'', 'before_headers': b'', 'mid_headers': start[:-10],
               'mid_body': start + body[:len(body) // 2]}

    if 'die_kept' in fault and request.connection_request > 1:
        raise Gone
    if 'flood' in fault:
        floods.send(sock, fault['flood'])
    if 'junk_status' in fault:
        sock.sendall(b'this is no status line\r\n\r\n')
        raise Gone
    if 'badchunk' in fault:
        chunked = start.replace(b'Content-Length: ', b'X-Length: ')
        sock.sendall(chunked[:-2] + b'Transfer-Encoding: chunked\r\n\r\nno number\r\n')
        raise Gone
    if 'truncate' in fault:
        sock.sendall(start + body[:int(fault['truncate'])])
        raise Gone
    for kind in ('close', 'reset', 'stall'):
        if kind not in fault:
            continue
        sock.sendall(middles[fault[kind]])
        if kind == 'stall':
            wait_until_gone(sock, HANG_SECONDS)
        elif kind == 'reset':
            time.sleep(0.05)  # a reset overtakes data that was not read yet
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raise Gone


def _send_two(sock, start, body, how):
    """The answer, and another one; each sendall() is a record of TLS."""
    other = json_answer(201, {'id': UNASKED_ID, 'etag': '"of another"'})
    more = head(other) + other.body
    parts = {'joined': [start + body + more], 'split': [start, body + more],
             'next': [start + body, more], 'later': [start + body, more]}[how]
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    for part in parts:
        sock.sendall(part)
        if how == 'later' and part is not more:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
            time.sleep(0.05)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def _drip(sock, data, seconds):
    for i in range(len(data)):
        sock.sendall(data[i:i + 1])
        if wait_until_gone(sock, seconds):
            raise Gone


def _pack(request, answer):
    packed = any(name == 'Content-Encoding' for name, _ in answer.headers)
    if packed or answer.chunked or len(answer.body) < PACK_FROM:
        return
    if 'gzip' in (request.header('accept-encoding') or ''):
        answer.body = gzip.compress(answer.body, compresslevel=1)
        answer.headers.append(('Content-Encoding', 'gzip'))


def _chunked(body, size=16384):
    parts = []
    for start in range(0, len(body), size):
        part = body[start:start + size]
        parts.append(b'%x\r\n%s\r\n' % (len(part), part))
    return b''.join(parts) + b'0\r\n\r\n'
