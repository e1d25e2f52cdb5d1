#!/usr/bin/env python3
"""Tests of the fake Flow Service itself: real requests over verified HTTPS.

With --tap it prints one line per check; without, only what failed.
"""

import gzip
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import zlib

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'flow_service.py')
CONNECTIONS = '/data/foundation/flowservice/connections'
HEADERS = {
    'Authorization': 'Bearer demo-access-token', 'x-api-key': 'demo-api-key',
    'x-gw-ims-org-id': '5C1328435BF324E90A49402A@AdobeOrg', 'x-sandbox-name': 'prod'}
SPEC = {'id': '74a1c565-4e59-48d7-9d67-7c03b8a13137', 'version': '1.0'}
PARAMS = {'server': 'h', 'port': '5432', 'database': 'd', 'username': 'u', 'password': 'p'}
BROKEN = (OSError, http.client.HTTPException)
UNASKED_ID = '99999999-9999-4999-8999-999999999999'


class Results:
    """Counts and prints the checks."""

    def __init__(self, tap):
        self.tap = tap
        self.count = self.failed = 0

    def check(self, what, passed, seen=None):
        self.count += 1
        self.failed += not passed
        if self.tap or not passed:
            print(f'{"ok" if passed else "not ok"} {self.count} - {what}', flush=True)
        if not passed:
            print(f'#   {seen!r}', flush=True)

    def equal(self, what, seen, wanted):
        self.check(what, seen == wanted, seen)


class Fake:
    """A started fake, and one client of it."""

    def __init__(self, folder, *options):
        self.folder = folder
        command('start', folder, '--parent-pid', str(os.getpid()), *options)
        with open(os.path.join(folder, 'ready.json'), encoding='ascii') as file:
            self.ready = json.load(file)
        self.context = ssl.create_default_context(cafile=self.ready['ca_file'])
        self.kept = self.open()

    def open(self, kind='https', timeout=10):
        url = urllib.parse.urlsplit(self.ready[kind])
        if url.scheme == 'http':
            return http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
        return http.client.HTTPSConnection(
            url.hostname, url.port, timeout=timeout, context=self.context)

    def call(self, method, path, body=None, client=None, **headers):
        """(status, JSON or bytes, headers); None for a header leaves it out."""
        given = {**HEADERS, **{name.replace('_', '-'): value for name, value in headers.items()}}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            given.setdefault('Content-Type', 'application/json')
        given = {name: value for name, value in given.items() if value is not None}
        client = client or self.kept
        try:
            client.request(method, path, body, given)
            answer = client.getresponse()
            data = answer.read()
        except BROKEN:
            client.close()  # so that the next request opens a new connection
            raise
        try:
            return answer.status, json.loads(data), answer.headers
        except ValueError:
            return answer.status, data, answer.headers

    def create(self, name, client=None, **members):
        return self.call('POST', CONNECTIONS, connection(name, **members), client)

    def token(self, path='/ims/token/v3', **fields):
        form = {'grant_type': 'client_credentials', 'client_id': 'demo-api-key',
                'client_secret': 'demo-client-secret', 'scope': 'openid,session', **fields}
        return self.call('POST', path, urllib.parse.urlencode(form).encode(),
                         Content_Type='application/x-www-form-urlencoded')

    def requests(self):
        with open(os.path.join(self.folder, 'requests.jsonl'), encoding='ascii') as file:
            return [json.loads(line) for line in file]

    def stop(self):
        command('stop', self.folder)


def command(name, folder, *options):
    done = subprocess.run([sys.executable, PROGRAM, name, '--dir', folder, *options],
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def connection(name, **members):
    return {'name': name, 'connectionSpec': SPEC,
            'auth': {'specName': 'Basic Authentication', 'params': PARAMS}, **members}


def code_of(answer):
    """The service's code in an error answer of either shape."""
    body = answer[1]
    if 'error_code' in body:
        return body['error_code']
    return body.get('type', '').rsplit('/', 1)[-1]


def test_creation(fake, results):
    status, body, headers = fake.create('first', description='Ærø')
    results.equal('POST: 201', status, 201)
    results.check('an id', re.fullmatch('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', body['id']),
                  body)
    results.check('a quoted etag', re.fullmatch('"[0-9a-f]{8}-0000-0200-0000-[0-9a-f]{12}"',
                                                body['etag']), body)
    results.check('Location', headers['Location'].endswith(body['id']))
    last = fake.requests()[-1]
    results.equal('on record', (last['method'], last['name'], last['kind'], last['created']),
                  ('POST', 'first', 'POST', body['id']))
    results.check('over TLS', last['tls'] in ('TLSv1.2', 'TLSv1.3'), last)
    results.check('secrets are hashed', last['headers']['authorization'].startswith('sha256:')
                  and last['body']['auth']['params']['password'].startswith('sha256:'), last)
    fake.call('POST', CONNECTIONS, connection('string', auth={
        'specName': 'Connection String Based Authentication',
        'params': {'connectionString': 'Server=h;Database=d;Port=1;UID=u;Password=secret'}}))
    text = fake.requests()[-1]['body']['auth']['params']['connectionString']
    results.check('also in a connection string', text.startswith('Server=h;')
                  and 'secret' not in text, text)
    shown = fake.call('GET', f'{CONNECTIONS}/{body["id"]}')[1]['items'][0]
    results.equal('GET shows it', (shown['name'], shown['description'], shown['etag']),
                  ('first', 'Ærø', body['etag']))
    results.check('without the password', 'password' not in shown['auth']['params'])
    results.check('the command "connections"',
                  f'{body["id"]} first' in command('connections', fake.folder).splitlines())


def test_checks(fake, results):
    for what, code, headers in (
            ('no token', '403010', {'Authorization': None}),
            ('a wrong token', '401013', {'Authorization': 'Bearer x'}),
            ('no key', '403000', {'x_api_key': None}),
            ('a wrong key', '403003', {'x_api_key': 'x'}),
            ('no organisation', '400003', {'x_gw_ims_org_id': None}),
            ('a malformed organisation', '403027', {'x_gw_ims_org_id': 'x'}),
            ('another organisation', '403025', {'x_gw_ims_org_id': '0' * 24 + '@AdobeOrg'}),
            ('no sandbox', 'FLOW-2105-400', {'x_sandbox_name': None}),
            ('an unknown sandbox', 'FLOW-2100-404', {'x_sandbox_name': 'x'}),
            ('a forbidden sandbox', 'FLOW-2118-403', {'x_sandbox_name': 'forbidden'})):
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        answer = fake.call('POST', CONNECTIONS, connection('x'), **headers)
        results.equal(what, (code_of(answer), str(answer[0])),
                      (code, code[-3:] if 'FLOW' in code else code[:3]))
    results.equal('a refused request is on record by name', fake.requests()[-1]['name'], 'x')
    basic = 'Basic Authentication'
    for what, status, code, body in (
            ('an empty body', 400, 'FLOW-1405-400', b''),
            ('null', 400, 'FLOW-1405-400', b'null'),
            ('no JSON', 400, None, b'{'),
            ('a repeated member', 400, None, b'{"a":1,"a":2}'),
            ('invalid UTF-8', 400, None, b'{"name":"\xff"}'),
            ('no name', 400, None, {**connection('x'), 'name': ''}),
            ('a wrong spec', 400, 'FLOW-1413-400', connection('x', connectionSpec={'id': 'x'})),
            ('no spec version', 422, None, connection('x', connectionSpec={'id': SPEC['id']})),
            ('a wrong auth', 400, 'FLOW-1415-400', connection('x', auth={'specName': 'x'})),
            ('a number as port', 400, None,
             connection('x', auth={'specName': basic, 'params': {**PARAMS, 'port': 5432}})),
            ('a missing param', 400, None,
             connection('x', auth={'specName': basic, 'params': {'server': 'h'}}))):
        answer = fake.call('POST', CONNECTIONS, body)
        results.check(what, answer[0] == status and code in (None, code_of(answer)), answer[:2])
    answer = fake.call('POST', CONNECTIONS, connection('x'), Content_Type='text/plain')
    results.equal('a wrong Content-Type', (answer[0], answer[1]['type']),
                  (400, '/placeholder/type/uri'))


def test_life_cycle(fake, results):
    created = fake.create('to change')[1]
    path = f'{CONNECTIONS}/{created["id"]}'
    change = [{'op': 'replace', 'path': '/name', 'value': 'changed'},
              {'op': 'REPLACE', 'path': '/auth/params', 'value': {**PARAMS, 'sslMode': 'Allow'}}]
    results.equal('PATCH without If-Match', code_of(fake.call('PATCH', path, change)),
                  'FLOW-1403-400')
    for what, etag in (('unquoted', created['etag'].strip('"')), ('stale', '"x"')):
        results.equal(f'PATCH, {what} etag', code_of(fake.call('PATCH', path, change,
                                                                  If_Match=etag)), 'FLOW-1404-412')
    status, changed, _ = fake.call('PATCH', path + '/', change, If_Match=created['etag'])
    results.check('PATCH: a new etag', status == 200 and changed['etag'] != created['etag'])
    shown = fake.call('GET', path)[1]['items'][0]
    results.equal('PATCH: changed', (shown['name'], shown['auth']['params']['sslMode']),
                  ('changed', 'Allow'))
    bare = [{'op': 'remove', 'path': '/description'}]
    results.equal('PATCH: remove without a value', code_of(fake.call(
        'PATCH', path, bare, If_Match=changed['etag'])), 'FLOW-1455-400')
    immutable = [{'op': 'replace', 'path': '/connectionSpec', 'value': SPEC}]
    results.equal('PATCH of the spec', code_of(fake.call(
        'PATCH', path, immutable, If_Match=changed['etag'])), 'FLOW-1414-400')
    results.equal('test', fake.call('GET', path + '/test')[1], {'result': True})
    tables = fake.call('GET', path + '/explore?objectType=ROOT')[1]
    results.check('explore: a bare array of tables', tables[0]['path'] == 'public.orders', tables)
    table = fake.call('GET', path + '/explore?objectType=table&object=public.orders')[1]
    results.check('explore: columns', table['schema']['columns'] and 'data' not in table)
    results.equal('explore: no view', code_of(fake.call(
        'GET', path + '/explore?objectType=view&object=public.orders')), 'CONNECTOR-1358-400')
    table = fake.call(
        'GET', path + '/explore?objectType=table&object=public.orders&preview=true')[1]
    results.check('explore: preview', len(table['data']) == 2)

    service = CONNECTIONS.rsplit('/', 1)[0]
    source = fake.call('POST', service + '/sourceConnections', {
        'name': 's', 'baseConnectionId': created['id'], 'connectionSpec': SPEC})[1]['id']
    target = fake.call('POST', service + '/targetConnections', {
        'name': 't', 'connectionSpec': {'id': 'c604ff05-7f1a-43c0-8e18-33bf874cb11c'}})[1]['id']
    flow = fake.call('POST', service + '/flows', {
        'name': 'f', 'sourceConnectionIds': [source], 'targetConnectionIds': [target]})[1]['id']
    results.equal('DELETE while a flow uses it', code_of(fake.call('DELETE', path)),
                  'FLOW-1418-400')
    users = fake.call('GET', service + '/flows?property=inheritedAttributes.'
                      f'sourceConnections%5B%5D.baseConnection.id==%22{created["id"]}%22')[1]
    results.equal('the flow is found', [item['id'] for item in users['items']], [flow])
    results.equal('DELETE of the flow', fake.call('DELETE', f'{service}/flows/{flow}')[0], 204)
    results.equal('DELETE', fake.call('DELETE', path)[0], 204)
    results.equal('gone', code_of(fake.call('GET', path)), 'FLOW-1439-404')
    results.check('a number beyond double', b'9223372036854775807' in json.dumps(
        fake.call('GET', '/data/foundation/catalog/dataSets')[1]).encode())


def test_late(fake, results):
    created = fake.create('fault:on=PATCH,status=504,late=2,times=1')[1]
    path = f'{CONNECTIONS}/{created["id"]}'

    def patch(text):
        change = [{'op': 'add', 'path': '/description', 'value': text}]
        return fake.call('PATCH', path, change, If_Match=created['etag'])[0]

    def description():
        return fake.call('GET', path)[1]['items'][0].get('description')
    results.equal('late: answered', patch('late'), 504)
    results.equal('late: not at once', description(), None)
    results.equal('late: before the second request', description(), 'late')
    kept = [(request['kind'], request['status']) for request in fake.requests()[-4:]]
    results.equal('late: on record when it is carried out', kept,
                  [('PATCH', 504), ('GET', 200), ('LATE', 200), ('GET', 200)])
    created = fake.create('fault:on=PATCH,status=504,late=2,times=1 overtaken')[1]
    path = f'{CONNECTIONS}/{created["id"]}'
    results.equal('late: overtaken', (patch('late'), patch('first')), (504, 200))
    results.equal('late: its etag is stale by then', description(), 'first')
    results.equal('late: and refused', fake.requests()[-2]['status'], 412)


def test_lists(folder, results):
    fake = Fake(os.path.join(folder, 'lists'), '--seed-connections', '45',
                '--secrets-on-get', 'mask', '--delete-status', '202', '--record-secrets')
    path, names, pages = CONNECTIONS + '?orderby=-name', [], 0
    while path:
        body = fake.call('GET', path)[1]
        names += [item['name'] for item in body['items']]
        following = body['_links'].get('next')
        path = CONNECTIONS.rsplit('/', 1)[0] + following['href'] if following else None
        pages += 1
    results.equal('three pages', pages, 3)
    results.equal('descending, each once', names, [f'Seed {i:06}' for i in range(45, 0, -1)])
    token = urllib.parse.unquote(body_token(fake))
    results.check('a token with = and %', '=' in token and '%' in token, token)
    results.equal('a token decoded twice', fake.call(
        'GET', f'{CONNECTIONS}?continuationToken={urllib.parse.unquote(token)}')[0], 400)
    for what, query, wanted in (
            ('==', 'property=name==Seed%20000007', 1),
            ('quoted', 'property=name==%22Seed%20000007%22', 1),
            ('any of', 'property=name==Seed%20000007,%22Seed%20000008%22', 2),
            ('and', 'property=name>Seed%20000040&property=name<Seed%20000044', 3),
            ('nested', 'property=connectionSpec.id==' + SPEC['id'], 45)):
        count = fake.call('GET', f'{CONNECTIONS}?count=true&{query}')[1]
        results.equal(f'filter: {what}', count, {'count': wanted})
    results.equal('limit', len(fake.call('GET', CONNECTIONS + '?limit=40')[1]['items']), 40)
    found = fake.call('POST', CONNECTIONS + '/search', {
        'queryString': 'name<Seed 000004', 'limit': 2})[1]
    results.check('search', len(found['items']) == 2 and found['_links'], found)
    packed = fake.call('GET', CONNECTIONS, Accept_Encoding='gzip')
    results.equal('packed if the client likes', (
        packed[2]['Content-Encoding'], len(packed_items(packed))), ('gzip', 20))
    seed = packed_items(packed)[0]
    results.equal('--secrets-on-get', seed['auth']['params']['password'], '*****')
    results.equal('--delete-status', fake.call('DELETE', f'{CONNECTIONS}/{seed["id"]}')[0], 202)
    results.equal('--record-secrets', fake.requests()[-1]['headers']['x-api-key'], 'demo-api-key')
    name = urllib.parse.quote('"fault:on=LIST,paging=repeat"')
    tokens = {fake.call('GET', path)[1]['_links']['next']['href'] for path in (
        [f'{CONNECTIONS}?property=name=={name}'] * 2)}
    following = CONNECTIONS.rsplit('/', 1)[0] + min(tokens)
    tokens.add(fake.call('GET', following)[1]['_links']['next']['href'])
    results.equal('paging=repeat', len(tokens), 1)
    results.equal('limit and count', code_of(fake.call(
        'GET', CONNECTIONS + '?limit=1&count=true')), 'FLOW-1401-400')
    results.equal('an unknown field', code_of(fake.call(
        'GET', CONNECTIONS + '?property=x==1')), 'FLOW-1423-400')
    fake.stop()


def packed_items(answer):
    return json.loads(gzip.decompress(answer[1]))['items']


def body_token(fake):
    return fake.call('GET', CONNECTIONS)[1]['_links']['next']['href'].split('=', 1)[1]


def test_tokens(fake, results):
    status, body, _ = fake.token()
    results.equal('a token', (status, body['token_type'], body['expires_in']),
                  (200, 'bearer', 86399))
    bearer = 'Bearer ' + body['access_token']
    results.equal('it counts', fake.call('GET', CONNECTIONS, Authorization=bearer)[0], 200)
    for field, value, error in (
            ('client_secret', 'x', 'invalid_client'), ('client_id', 'x', 'invalid_client'),
            ('scope', 'root', 'invalid_scope'), ('grant_type', 'x', 'unsupported_grant_type')):
        answer = fake.token(**{field: value})
        results.equal(f'wrong {field}', (answer[0], answer[1]['error']), (400, error))
    results.equal('a secret in the URL', fake.token('/ims/token/v3?client_secret=x')[0], 400)
    results.check('is on record', fake.requests()[-1]['secret_in_query'])
    body = fake.token(client_secret='fault:accept=1,refuse=flow2115')[1]
    bearer = 'Bearer ' + body['access_token']
    seen = [code_of(answer) if (answer := fake.call('GET', CONNECTIONS, Authorization=bearer))[
        0] != 200 else 200 for _ in range(2)]
    results.equal('accept=1,refuse=flow2115', seen, [200, 'FLOW-2115-400'])
    body = fake.token(client_secret='fault:life=0')[1]
    results.equal('an expired token', code_of(fake.call(
        'GET', CONNECTIONS, Authorization='Bearer ' + body['access_token'])), '401013')
    results.check('notoken', 'access_token' not in fake.token(client_secret='fault:notoken=1')[1])


def test_error_faults(fake, results):
    for fault, status, pattern in (
            ('status=503', 503, 'FLOW-1103-503'),
            ('status=400,code=FLOW-1418', 400, 'FLOW-1418-400'),
            ('status=400,message=%C3%BC%20x', 400, '"ü x"'),
            ('status=403,shape=gateway', 403, '"403025"'),
            ('status=403,shape=gateway_int', 403, ': 403025'),
            ('status=403,shape=older', 403, '^{"errorMessage"'),
            ('status=403,shape=framework', 403, 'ForbiddenError'),
            ('status=503,shape=html', 503, '<html>'), ('status=503,shape=empty', 503, '^$'),
            ('status=400,echo=1', 400, 'p demo|demo-access-token')):
        answer = fake.create('fault:' + fault)
        text = answer[1].decode() if isinstance(answer[1], bytes) else json.dumps(
            answer[1], ensure_ascii=False)
        results.check(fault, answer[0] == status and re.search(pattern, text), answer[:2])
    headers = fake.create('fault:status=429,retry_after=17')[2]
    results.equal('retry_after', headers['Retry-After'], '17')
    results.equal('redirect', fake.create('fault:redirect=http%3A%2F%2Fx%2F')[2]['Location'],
                  'http://x/')
    seen = [fake.create('fault:after=1,times=2,status=500')[0] for _ in range(5)]
    results.equal('after and times', seen, [201, 500, 500, 201, 201])
    name = 'fault:on=POST|GET,status=404,times=1;after=2,status=502;status=503'
    seen = [fake.create(name)[0] for _ in range(3)]
    results.equal('several faults', seen, [404, 503, 502])
    for fault in ('statsu=500', 'close=sometimes', 'on=PUSH', 'status=500;statsu=500'):
        results.equal('a misspelt fault', fake.create('fault:' + fault)[0], 599)
    identifier = fake.create('fault:on=GET|TEST,status=500')[1]['id']
    seen = [fake.call('GET', f'{CONNECTIONS}/{identifier}{end}')[0]
            for end in ('', '/test', '/configs')]
    results.equal('on', seen, [500, 500, 200])
    name = urllib.parse.quote('"fault:on=LIST|COUNT,status=502"')
    seen = [fake.call('GET', f'{CONNECTIONS}?property=name=={name}{end}')[0]
            for end in ('', '&count=true')]
    results.equal('lists, by the filter', seen, [502, 502])


def test_answer_faults(fake, results):
    for fault, pattern in (
            ('notjson=1', rb'not JSON'), ('noid=1', rb'^{"etag"'), ('badid=1', rb'not-a-uuid'),
            ('nulid=1', rb'\\u0000"'), ('surrogate=1', rb'\\ud800"'), ('badutf8=1', rb'\xff"'),
            ('dupid=1', rb'"id".*"id"'), ('idcase=1', rb'"ID"'), ('deep=5000', rb'\[{5000}'),
            ('empty=1', rb'^$'), ('html=1,message=a%26b', rb'^<html>.*a&amp;b'),
            ('body=%FF%2C%20', rb'^\xff, $'),
            ('body=%5B,repeat=%2C,count=3,end=%5D', rb'^\[,,,\]$'),
            ('huge=200000', rb'x{199990}'),
            ('huge=200000,chunked=1', rb'x{199990}')):
        client = fake.open()
        client.request('POST', CONNECTIONS, json.dumps(connection('fault:' + fault)),
                       {**HEADERS, 'Content-Type': 'application/json'})
        answer = client.getresponse()
        data = answer.read()
        client.close()
        results.check(fault, answer.status == 201 and re.search(pattern, data), data[:200])
    data = fake.create('fault:gzip=50000')[1]
    results.equal('gzip', len(gzip.decompress(data)), 50000)
    results.check('noetag', list(fake.create('fault:noetag=1')[1]) == ['id'])
    results.equal('bigheader', len(fake.create('fault:bigheader=9000')[2]['X-Big']), 9000)
    results.equal('heads', fake.create('fault:heads=X-A%3A%20b%0AX-C%3A%20d')[2]['X-C'], 'd')
    answer = fake.create('fault:processed=1')
    results.check('Location', answer[2]['Location'].endswith('/' + answer[1]['id']))
    results.equal('no Location', fake.create('fault:noid=1')[2]['Location'], None)
    results.equal('another Location', fake.create('fault:location=%2Fx')[2]['Location'], '/x')
    packed = fake.create('fault:layers=2')[1]
    for _ in range(2):
        packed = zlib.decompressobj(31).decompress(packed, 100000)
    results.equal('layers', packed, b'')


def test_transport_faults(fake, results):
    faults = ['close=before', 'close=mid_headers', 'close=mid_body', 'reset=before',
              'reset=mid_headers', 'reset=mid_body', 'truncate=10', 'badchunk=1', 'junk_status=1',
              'stall=before_headers', 'stall=mid_headers', 'stall=mid_body', 'drip=1']
    for fault in faults:
        client = fake.open(timeout=0.3)
        try:
            # http.client takes headers that end early for complete ones
            broken = fake.create('fault:' + fault, client)[1] == b''
        except BROKEN:
            broken = True
        results.check(fault, broken)
    names = [item['name'] for item in json.loads(command('connections', fake.folder, '--json'))]
    results.check('processed all the same', all('fault:' + fault in names for fault in faults))
    client = fake.open()
    fake.create('fault:die_kept=1', client)
    try:
        fake.create('fault:die_kept=1', client)
        died = False
    except BROKEN:
        died = True
    results.check('die_kept', died)
    for how in ('next', 'later'):  # of the others http.client loses the second
        client.close()
        answers = [fake.create(name, client)[1]['id'] for name in ('fault:unasked=' + how, 'next')]
        results.check('unasked=' + how, answers[0] != UNASKED_ID == answers[1])
    client.close()
    fake.create('fault:close_after=0.1', client)
    results.equal('close_after', client.sock.recv(1), b'')
    client = fake.open(timeout=0.3)
    large = {**PARAMS, 'password': 'p' * 20000000}
    try:
        fake.create('fault:read_slow=1', client,
                    auth={'specName': 'Basic Authentication', 'params': large})
        stuck = False
    except TimeoutError:
        stuck = True
    results.check('read_slow', stuck)


def test_listeners(fake, results):
    for kind, error in (
            ('unknown_ca', ssl.SSLCertVerificationError),
            ('wrong_name', ssl.SSLCertVerificationError),
            ('expired', ssl.SSLCertVerificationError), ('tls11', ssl.SSLError),
            ('refused', ConnectionRefusedError), ('full_backlog', TimeoutError),
            ('tls_stall', TimeoutError)):
        try:
            fake.open(kind, timeout=0.3).connect()
            seen = None
        except OSError as raised:
            seen = raised
        results.check(kind, isinstance(seen, error), seen)
    for kind in ('http', 'https6'):
        if kind in fake.ready:
            results.equal(kind, fake.create('x', fake.open(kind))[0], 201)


def test_load(fake, results):
    barrier = threading.Barrier(200)
    statuses = []

    def client():
        own = fake.open(timeout=30)
        barrier.wait()
        statuses.append(fake.create('crowd', own)[0])
        own.close()

    threads = [threading.Thread(target=client) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.equal('200 clients at once', statuses, [201] * 200)


def test_parent(folder, results):
    parent = subprocess.Popen(['sleep', '600'])
    ready = os.path.join(folder, 'orphan', 'ready.json')
    command('start', os.path.dirname(ready), '--parent-pid', str(parent.pid))
    with open(ready, encoding='ascii') as file:
        pid = json.load(file)['pid']
    parent.kill()
    parent.wait()
    for _ in range(50):
        if not alive(pid):
            break
        time.sleep(0.1)
    results.check('ends with its parent', not alive(pid))


def alive(pid):
    """A zombie that nobody collected yet counts as gone."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def main():
    results = Results('--tap' in sys.argv)
    with tempfile.TemporaryDirectory() as folder:
        fake = Fake(os.path.join(folder, 'fake'))
        try:
            for test in (test_creation, test_checks, test_life_cycle, test_late, test_tokens,
                         test_error_faults, test_answer_faults, test_transport_faults,
                         test_listeners, test_load):
                attempt(test, fake, results)
            for test in (test_lists, test_parent):
                attempt(test, folder, results)
        finally:
            fake.stop()
        results.check('stops', not alive(fake.ready['pid']))
        with open(os.path.join(fake.folder, 'server.log'), encoding='utf-8') as log:
            results.equal('complained about nothing', log.read(), '')
    print(f'1..{results.count}' if results.tap else f'{results.failed} of {results.count} failed')
    sys.exit(results.failed > 0)


def attempt(test, subject, results):
    """One test; that it dies is a failed check, not the end."""
    try:
        test(subject, results)
    except Exception:
        results.check(test.__name__, False, traceback.format_exc())


if __name__ == '__main__':
    main()
