"""One request on its way through the service."""

import json

from .answers import ApiError, flow_error, framework_error

PREFIX = '/data/foundation/flowservice/'
# what may follow an id
ACTIONS = {('GET', 'test'), ('GET', 'explore'), ('GET', 'configs'), ('POST', 'action')}


class Call:
    """A request, and what became known of it; recorder.py writes it down."""

    def __init__(self, request):
        self.request = request
        self.collection = None
        self.entity_id = None
        self.action = None  # what follows the id in the path
        self.kind = request.method
        self.sandbox = None
        self.name = None
        self.body = None
        self.created = None
        self.fault = None

    def split_path(self):
        """Finds collection, id and action; False for a path that is none of ours."""
        if not self.request.path.startswith(PREFIX):
            return False
        # one slash at the end is fine
        parts = self.request.path[len(PREFIX):].removesuffix('/').split('/')
        if not all(parts) or len(parts) > 3:
            return False
        self.collection, self.entity_id, self.action = parts + [None] * (3 - len(parts))
        self.kind = self._kind()
        if self.kind == 'SEARCH':
            self.entity_id = None
        return True

    def _kind(self):
        method, query = self.request.method, self.request.query
        if self.action:
            if (method, self.action) not in ACTIONS:
                return 'UNKNOWN'
            if self.action == 'explore' and query.get('preview') == ['true']:
                return 'PREVIEW'
            return self.action.upper()
        if method == 'GET' and not self.entity_id:
            return 'COUNT' if query.get('count') == ['true'] else 'LIST'
        if method == 'POST' and self.entity_id == 'search':
            return 'SEARCH'
        if (method == 'POST') == bool(self.entity_id):
            return 'UNKNOWN'
        return method if method in ('GET', 'POST', 'PATCH', 'DELETE') else 'UNKNOWN'

    def parameter(self, name):
        """A query parameter that may be there once."""
        values = self.request.query.get(name, [None])
        if len(values) > 1:
            raise flow_error(400, '1451', f'the parameter {name} is repeated')
        return values[0]

    def check_parameters(self, *allowed):
        for name in self.request.query:
            if name not in allowed:
                raise flow_error(400, '1451', f'unknown query parameter {name}', self.collection)

    def read_json(self):
        """The body, by the strictest reading of the JSON standard."""
        content_type = (self.request.header('content-type') or '').replace(' ', '').lower()
        if content_type not in ('application/json', 'application/json;charset=utf-8'):
            raise framework_error(400, 'Content-Type must be application/json')
        if not self.request.body:
            raise flow_error(400, '1405', 'The request body is empty.', self.collection)
        try:
            self.body = json.loads(self.request.body.decode('utf-8'), parse_constant=_no_constant,
                                   object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError) as error:
            raise framework_error(400, 'The body is not JSON: ' + type(error).__name__) from error
        if self.body is None:
            raise flow_error(400, '1405', 'The request body is null.', self.collection)
        return self.body

    def note_body(self):
        """Reads the body of a refused request, for the record only."""
        try:
            body = self.read_json()
        except ApiError:
            return
        if isinstance(body, dict):
            self.name = body.get('name')

    def secrets(self):
        """Every secret of the request, for a service that repeats them."""
        found = [self.request.header('x-api-key')]
        found += (self.request.header('authorization') or '').split()[1:]
        if isinstance(self.body, dict):
            found.append(self.body.get('client_secret'))
            auth = self.body.get('auth')
            params = auth.get('params') if isinstance(auth, dict) else None
            found += _secrets_of(params)
        for operation in self.body if isinstance(self.body, list) else ():
            if isinstance(operation, dict):
                value = operation.get('value')
                found += _secrets_of(value) + _secrets_of(
                    value.get('params') if isinstance(value, dict) else None)
        return [secret for secret in found if secret]


def _secrets_of(params):
    if not isinstance(params, dict):
        return []
    found = [params.get('password')]
    text = params.get('connectionString')
    if isinstance(text, str):
        found += [part.partition('=')[2] for part in text.split(';')
                  if part.lower().startswith('password=')]
    return [secret for secret in found if isinstance(secret, str)]


def _no_duplicates(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError('a member is repeated')
    return value


def _no_constant(name):
    raise ValueError(name)
