"""What comes after base connections: source and target connections, flows, runs."""

from .answers import flow_error, framework_error
from .connections import FIELDS, POSTGRESQL_SPEC, check_text

DATA_LAKE_SPEC = 'c604ff05-7f1a-43c0-8e18-33bf874cb11c'
MORE_FIELDS = FIELDS + ('baseConnectionId', 'params', 'data', 'flowSpec', 'sourceConnectionIds',
                        'targetConnectionIds', 'inheritedAttributes', 'flowId', 'metrics',
                        'lastRunDetails', 'providerId', 'attributes')

CONNECTION_SPEC = {
    **POSTGRESQL_SPEC, 'name': 'postgre-sql',
    'providerId': '0ed90a81-07f4-4586-8190-b40eccef1c5a',
    'authSpec': [
        {'name': 'Connection String Based Authentication', 'type': 'ConnectionStringBased',
         'spec': {'type': 'object', 'required': ['connectionString'],
                  'properties': {'connectionString': {'type': 'string', 'format': 'password'}}}},
        {'name': 'Basic Authentication', 'type': 'BasicAuthentication',
         'spec': {'type': 'object',
                  'required': ['server', 'port', 'database', 'username', 'password'],
                  'properties': {'server': {'type': 'string'}, 'port': {'type': 'string'},
                                 'database': {'type': 'string'}, 'username': {'type': 'string'},
                                 'password': {'type': 'string', 'format': 'password'},
                                 'sslMode': {'type': 'string'}}}}],
    'attributes': {'isSource': True, 'isDraftModeSupported': True}}


def source_connection(body, collections):
    check_text(body, 'name', required=True)
    entity = dict(body)
    base = collections['connections'].get(body.get('baseConnectionId'))
    entity['state'] = 'enabled'
    entity['inheritedAttributes'] = {'baseConnection': {
        'id': base['id'], 'connectionSpec': base['connectionSpec']}}
    return entity


def target_connection(body, collections):
    check_text(body, 'name', required=True)
    if body.get('connectionSpec', {}).get('id') != DATA_LAKE_SPEC:
        raise flow_error(400, '1413', 'Please provide a valid spec id', 'targetConnections')
    return {**body, 'state': 'enabled'}


def flow(body, collections):
    check_text(body, 'name', required=True)
    if 'state' in body:
        raise flow_error(400, '1410', 'state cannot be given.', 'flows')
    sources = [collections['sourceConnections'].get(identifier)
               for identifier in _ids(body, 'sourceConnectionIds')]
    targets = [collections['targetConnections'].get(identifier)
               for identifier in _ids(body, 'targetConnectionIds')]
    return {**body, 'state': 'enabled', 'inheritedAttributes': {
        'properties': {'isSourceFlow': True},
        'sourceConnections': [
            {'id': source['id'], 'connectionSpec': source.get('connectionSpec'),
             'baseConnection': source['inheritedAttributes']['baseConnection']}
            for source in sources],
        'targetConnections': [
            {'id': target['id'], 'connectionSpec': target.get('connectionSpec')}
            for target in targets]}}


def run(body, collections):
    flow_entity = collections['flows'].get(body.get('flowId'))
    return {**body, 'flowSpec': flow_entity.get('flowSpec'),
            'metrics': {'statusSummary': {'status': 'scheduled'}}}


def uses(flow_entity, connection_id):
    """Does the flow read from this base connection?"""
    return any(source['baseConnection']['id'] == connection_id
               for source in flow_entity['inheritedAttributes']['sourceConnections'])


def _ids(body, name):
    ids = body.get(name)
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise framework_error(400, f'{name} must be an array of ids')
    return ids
