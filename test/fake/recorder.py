"""Writes requests.jsonl: one line for each request, before it is answered."""

import hashlib
import json
import threading
import time
import urllib.parse

SECRET_HEADERS = {'authorization', 'x-api-key'}
SECRET_MEMBERS = {'password', 'client_secret', 'client_id'}
SECRET_PATHS = ('/auth/params/password', '/auth/params/connectionString')


def hashed(text):
    """Secrets can be compared, but not read."""
    digest = hashlib.sha256(str(text).encode('utf-8', 'surrogatepass')).hexdigest()
    return 'sha256:' + digest[:32]


def without_secrets(value):
    """A copy of a JSON value whose secrets are hashed."""
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for name, item in value.items():
        secret = name in SECRET_MEMBERS or (
            name == 'value' and value.get('path') in SECRET_PATHS)
        if secret and not isinstance(item, (dict, list)):
            item = hashed(item)
        elif name == 'connectionString' and isinstance(item, str):
            item = connection_string_without_secrets(item)
        result[name] = without_secrets(item)
    return result


def connection_string_without_secrets(text):
    parts = []
    for part in text.split(';'):
        key, equals, value = part.partition('=')
        secret = equals and key.strip().lower() in ('password', 'pwd')
        parts.append(f'{key}={hashed(value)}' if secret else part)
    return ';'.join(parts)


class Recorder:
    """The record of all requests."""

    def __init__(self, path, with_secrets):
        self._file = open(path, 'w', encoding='ascii')
        self._with_secrets = with_secrets
        self._lock = threading.Lock()
        self._count = 0

    def write(self, call, answer):
        request = call.request
        line = {
            'time': time.time(),
            'connection': request.connection,
            'connection_request': request.connection_request,
            'listener': request.listener,
            'tls': request.tls,
            'method': request.method,
            'path': request.path,
            'query': request.query,
            'headers': request.headers,
            'collection': call.collection,
            'name': call.name,
            'body': call.body,
            'body_sha256': hashlib.sha256(request.body).hexdigest(),
            'kind': call.kind,
            'status': answer.status,
            'created': call.created,
            'fault': call.fault is not None}
        if 'client_secret' in request.query:
            line['secret_in_query'] = True
        if not self._with_secrets:
            self._hide_secrets(line, request)
        with self._lock:
            self._count += 1
            text = json.dumps({'n': self._count, **line})
            self._file.write(text + '\n')
            self._file.flush()

    @staticmethod
    def _hide_secrets(line, request):
        line['headers'] = {name: hashed(value) if name in SECRET_HEADERS else value
                           for name, value in request.headers.items()}
        line['body'] = without_secrets(line['body'])
        line['query'] = {name: [hashed(value) for value in values]
                         if name in SECRET_MEMBERS else values
                         for name, values in request.query.items()}


def form_fields(body):
    """The fields of a form; a repeated one is an error, like any other nonsense."""
    pairs = urllib.parse.parse_qsl(body.decode('ascii'), keep_blank_values=True,
                                   strict_parsing=True, errors='strict')
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError('a field is repeated')
    return fields
