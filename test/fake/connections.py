"""What is special about base connections: bodies, secrets, patches, probes."""

import copy
import os
import subprocess

from .answers import ApiError, error_answer, flow_error, framework_error, json_answer

POSTGRESQL_SPEC = {'id': '74a1c565-4e59-48d7-9d67-7c03b8a13137', 'version': '1.0'}
BASIC = 'Basic Authentication'
CONNECTION_STRING = 'Connection String Based Authentication'

# of each authentication: the params that must be there, and those that may
PARAMS = {
    BASIC: ({'server', 'port', 'database', 'username', 'password'},
            {'sslMode', 'authorizedDate'}),
    CONNECTION_STRING: ({'connectionString'}, {'authorizedDate'})}
CONNECTION_STRING_KEYS = {'server', 'database', 'port', 'uid', 'password'}
SECRET_PARAMS = ('password', 'connectionString')
STATES = ('enabled', 'disabled', 'initializing')
CONFIGS = {'items': [{'columnName': 'name', 'columnType': 'string'}]}
FIELDS = ('id', 'name', 'description', 'connectionSpec', 'state', 'auth', 'createdAt',
          'updatedAt', 'createdBy', 'sandboxName')


def bad(message):
    return framework_error(400, message)


def seeds(count):
    """Generated connections; they share what never changes, to be cheap."""
    auth = {'specName': BASIC, 'params': {
        'server': 'db.example.com', 'port': '5432', 'database': 'seed', 'username': 'seed',
        'password': 'seed', 'sslMode': 'Prefer'}}
    for i in range(1, count + 1):
        yield (f'{i:08x}-5eed-4000-8000-{i:012x}',
               {'name': f'Seed {i:06d}', 'connectionSpec': POSTGRESQL_SPEC, 'auth': auth,
                'state': 'enabled'})


def created(body, draft):
    """The new entity for the body of a POST."""
    check_text(body, 'name', required=True)
    check_text(body, 'description')
    check_spec(body.get('connectionSpec'))
    check_auth(body.get('auth'))
    entity = {name: body[name] for name in ('name', 'description', 'connectionSpec', 'auth')
              if name in body}
    entity['state'] = 'draft' if draft else 'enabled'
    return entity


def check_text(body, name, required=False):
    value = body.get(name)
    if value is None and not required and name not in body:
        return
    if not isinstance(value, str) or (required and not value):
        raise bad(f'{name} must be a string that is not empty')


def check_spec(spec):
    if not isinstance(spec, dict):
        raise bad('connectionSpec is missing')
    if spec.get('id') != POSTGRESQL_SPEC['id']:
        raise flow_error(400, '1413', 'Please provide a valid spec id')
    if 'version' not in spec:
        raise ApiError(error_answer(422, 'connectionSpec.version is missing', shape='older'))
    if spec['version'] != POSTGRESQL_SPEC['version']:
        raise flow_error(400, '1413', 'Please provide a valid spec version')


def check_auth(auth):
    if not isinstance(auth, dict):
        raise bad('auth is missing')
    if auth.get('specName') not in PARAMS:
        raise flow_error(400, '1415', 'The auth spec name is unknown for this connection spec.')
    check_params(auth['specName'], auth.get('params'))


def check_params(spec_name, params):
    if not isinstance(params, dict):
        raise bad('auth.params is missing')
    required, optional = PARAMS[spec_name]
    for name in sorted(required - set(params)):
        raise bad(f'auth.params.{name} is missing')
    for name in sorted(set(params) - required - optional):
        raise bad(f'auth.params.{name} is unknown')
    for name, value in params.items():
        if not isinstance(value, str):
            raise bad(f'auth.params.{name} must be a string')
    if spec_name == CONNECTION_STRING:
        keys = {part.partition('=')[0].lower() for part in params['connectionString'].split(';')}
        for name in sorted(CONNECTION_STRING_KEYS - keys):
            raise bad(f'{name} is missing in the connection string')


def shown(entity, secrets_on_get):
    """The entity as GET shows it: its secrets left out, masked, or not."""
    if 'auth' not in entity or secrets_on_get == 'echo':
        return entity
    params = dict(entity['auth']['params'])
    for name in SECRET_PARAMS:
        if name not in params:
            continue
        if secrets_on_get == 'mask':
            params[name] = '*****'
        else:
            del params[name]
    return {**entity, 'auth': {**entity['auth'], 'params': params}}


def patched(entity, operations):
    """A changed copy of an entity; a JSON Patch as far as the service knows it."""
    if not isinstance(operations, list) or not operations:
        raise flow_error(400, '1455', 'The body must be an array of JSON Patch operations.')
    entity = copy.deepcopy(entity)
    for operation in operations:
        if not isinstance(operation, dict):
            raise flow_error(400, '1455', 'A patch operation must be an object.')
        _patch(entity, operation)
    if 'auth' in entity:
        check_auth(entity['auth'])
    check_text(entity, 'name', required=True)
    check_text(entity, 'description')
    return entity


def _patch(entity, operation):
    op = str(operation.get('op')).lower()
    path = operation.get('path')
    if op not in ('add', 'replace', 'remove'):
        raise flow_error(400, '1434', f'The patch operation {op} is not supported.')
    if not isinstance(path, str) or not path.startswith('/'):
        raise flow_error(400, '1455', 'The field path is missing.')
    if 'value' not in operation:  # Adobe's file demands one of "remove" too
        raise flow_error(400, '1455', 'The field value is missing.')
    *parents, last = path[1:].split('/')
    if path.startswith('/connectionSpec'):
        raise flow_error(400, '1414', 'The connection spec of a connection cannot change.')
    if (parents or [last])[0] not in ('name', 'description', 'state', 'auth', 'labels'):
        raise flow_error(400, '1434', f'{path} cannot be patched.')
    if path == '/state' and operation.get('value') not in STATES:
        raise flow_error(400, '1456', 'The state is not one of ' + ', '.join(STATES) + '.')
    target = entity
    for name in parents:
        target = target.get(name) if isinstance(target, dict) else None
    if not isinstance(target, dict) or (op != 'add' and last not in target):
        raise flow_error(400, '1455', f'There is no {path}.')
    if op == 'remove':
        del target[last]
    else:
        target[last] = operation['value']


def probe(fault, entity, host):
    """GET .../test; with a host a login there with what the connection has."""
    result = (fault or {}).get('result')
    if result == 'error':
        raise flow_error(504, '1104', 'The flow provider did not answer in time.')
    if result is None and host:
        result = 'true' if _can_log_in(entity['auth']['params'], host) else 'false'
    return json_answer(200, {'result': result != 'false'})


def _can_log_in(params, host):
    """Whether psql gets in, as the platform's connector would: its port, but not its host."""
    if 'connectionString' in params:
        parts = dict(part.split('=', 1) for part in params['connectionString'].split(';'))
        params = {name.lower(): value for name, value in parts.items()}
        params['username'] = params['uid']
    environment = {**os.environ, 'PGHOST': host, 'PGPORT': params['port'],
                   'PGDATABASE': params['database'], 'PGUSER': params['username'],
                   'PGPASSWORD': params['password'], 'PGCONNECT_TIMEOUT': '30'}
    return subprocess.run(['psql', '-XAtw', '-c', 'SELECT 1'], env=environment, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0
