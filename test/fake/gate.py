"""The checks before a request reaches Flow Service, in the order of the real ones."""

import re
import threading
import time

from .answers import flow_error, gateway_error

FORBIDDEN_SANDBOX = 'forbidden'


class Tokens:
    """The bearer tokens that count: fixed ones, and those that IMS issued."""

    def __init__(self, fixed):
        self._lock = threading.Lock()
        self._issued = {}
        self._fixed = set(fixed)

    def issue(self, token, life, accept=None, refuse=None):
        with self._lock:
            self._issued[token] = {
                'end': time.monotonic() + life, 'left': accept, 'refuse': refuse}

    def check(self, token):
        """Raises an error unless the token is good for one more call."""
        if token in self._fixed:
            return
        with self._lock:
            issued = self._issued.get(token)
            if issued is None or time.monotonic() >= issued['end']:
                raise gateway_error('401013', 'Oauth token is not valid')
            if issued['left'] is None:
                return
            if issued['left'] > 0:
                issued['left'] -= 1
                return
        if issued['refuse']:
            code = issued['refuse'].removeprefix('flow')
            raise flow_error(400, code, 'The token is empty or invalid.')
        raise gateway_error('401013', 'Oauth token is not valid')


class Gate:
    """Authorization, API key, organisation and sandbox."""

    def __init__(self, options, tokens):
        self._tokens = tokens
        self._api_key = options.api_key
        self._org = options.org
        self._sandboxes = set(options.sandbox)

    def check(self, request):
        """Returns the sandbox."""
        authorization = request.header('authorization')
        if not authorization:
            raise gateway_error('403010', 'Oauth token is missing')
        scheme, _, token = authorization.partition(' ')
        if scheme != 'Bearer':
            raise gateway_error('401013', 'Oauth token is not valid')
        self._tokens.check(token)

        api_key = request.header('x-api-key')
        if not api_key:
            raise gateway_error('403000', 'Api Key is required')
        if api_key != self._api_key:
            raise gateway_error('403003', 'Api Key is invalid')

        org = request.header('x-gw-ims-org-id')
        if not org:
            raise gateway_error('400003', 'Required header x-gw-ims-org-id is missing')
        if not re.fullmatch('[0-9A-F]{24}@AdobeOrg', org):
            raise gateway_error('403027', 'User region is missing')
        if org != self._org:
            raise gateway_error('403025', 'Profile is not valid for the organization')
        return self._sandbox(request)

    def _sandbox(self, request):
        if 'x-sandbox-id' in request.headers:
            raise flow_error(400, '2110', 'x-sandbox-id cannot be used with a user token.')
        sandbox = request.header('x-sandbox-name')
        if not sandbox:
            raise flow_error(400, '2105', 'The header x-sandbox-name is missing.')
        if sandbox == FORBIDDEN_SANDBOX:
            raise flow_error(403, '2118', 'No permission on Enterprise Source in this sandbox.')
        if sandbox not in self._sandboxes:
            raise flow_error(404, '2100', f'There is no sandbox named {sandbox}.')
        return sandbox
