"""The token endpoint of Adobe's Identity Management System."""

import json
import secrets
import threading
import time

from .answers import Answer, ApiError, error_answer, json_answer
from .faults import PREFIX as FAULT
from .recorder import form_fields

PATH = '/ims/token/v3'


def ims_error(code, description, status=400):
    return ApiError(error_answer(status, description, code, 'ims'))


class Ims:
    """Issues tokens for a client secret."""

    def __init__(self, options, tokens):
        self._tokens = tokens
        self._client_id = options.api_key
        self._client_secrets = set(options.client_secret)
        self._scopes = set(options.scope)
        self._life = options.token_life
        self._max_per_second = options.ims_max_per_second
        self._recent = []
        self._lock = threading.Lock()

    def read(self, call):
        """Takes in the form; all that a fault needs to be found."""
        call.kind = 'TOKEN'
        request = call.request
        if request.method != 'POST':
            raise ims_error('invalid_request', 'POST only', 405)
        if 'client_secret' in request.query:
            # The real one takes it, and then the secret is in every access log.
            raise ims_error('invalid_request', 'the client secret belongs into the body')
        content_type = (request.header('content-type') or '').split(';')[0].strip()
        if content_type != 'application/x-www-form-urlencoded':
            raise ims_error('invalid_request', 'the body must be a form')
        try:
            call.body = form_fields(request.body)
        except ValueError as error:
            raise ims_error('invalid_request', 'malformed form') from error
        if call.body.get('client_secret', '').startswith(FAULT):
            call.name = call.body['client_secret']

    def answer(self, call):
        self._throttle()
        self._check(call.body)
        fault = call.fault or {}
        life = int(fault.get('life', self._life))
        token = secrets.token_urlsafe(48)
        accept = fault.get('accept', 0 if 'refuse' in fault else None)
        self._tokens.issue(token, life, None if accept is None else int(accept),
                           fault.get('refuse'))
        return self._success(fault, token, life)

    @staticmethod
    def _success(fault, token, life):
        members = {'access_token': json.dumps(token),
                   'token_type': json.dumps(fault.get('token_type', 'bearer')),
                   'expires_in': fault.get('expires_in', str(life))}
        if 'notoken' in fault:
            del members['access_token']
        if members['expires_in'] == 'none':
            del members['expires_in']
        if 'expires_in' not in fault:
            return json_answer(200, {name: json.loads(text) for name, text in members.items()})
        # raw text, so that it may be no JSON at all
        text = ','.join(f'"{name}":{text}' for name, text in members.items())
        return Answer(200, ('{' + text + '}').encode())

    def _throttle(self):
        if not self._max_per_second:
            return
        now = time.monotonic()
        with self._lock:
            self._recent = [when for when in self._recent if now - when < 1]
            self._recent.append(now)
            excess = len(self._recent) > self._max_per_second
        if excess:
            raise ims_error('too_many_requests', 'too many tokens', 429)

    def _check(self, form):
        if form.get('grant_type') != 'client_credentials':
            raise ims_error('unsupported_grant_type', 'unsupported grant_type')
        if form.get('client_id') != self._client_id:
            raise ims_error('invalid_client', 'invalid client_id parameter')
        secret = form.get('client_secret', '')
        if secret not in self._client_secrets and not secret.startswith(FAULT):
            raise ims_error('invalid_client', 'invalid client_secret parameter')
        scopes = form.get('scope', '').split(',')
        if not set(scopes) <= self._scopes:
            raise ims_error('invalid_scope', 'invalid scope')
