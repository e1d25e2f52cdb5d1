"""The service: routes, state, and the path of a request through both."""

import copy
import threading
import time

from . import connections, flows, ims, listing
from .answers import ApiError, Answer, error_answer, flow_error, json_answer
from .call import PREFIX, Call
from .explore import Explorer
from .faults import Faults
from .gate import Gate, Tokens
from .store import Collection, filter_values

ORG_WIDE = {'createdBy': '28AF22BA5DE6B0B40A494036@techacct.adobe.com',
            'createdClient': 'demo-api-key'}
DATA_SETS = '/data/foundation/catalog/dataSets'
CREATORS = {'sourceConnections': flows.source_connection,
            'targetConnections': flows.target_connection,
            'flows': flows.flow, 'runs': flows.run}


class Service:
    """Answers requests; knows nothing of sockets."""

    def __init__(self, options, recorder):
        self._options = options
        self._recorder = recorder
        tokens = Tokens(options.access_token)
        self._gate = Gate(options, tokens)
        self._ims = ims.Ims(options, tokens)
        self._faults = Faults()
        self._explorer = Explorer(options.explore)
        self._lock = threading.Lock()
        self._late = []  # [requests until then, a call that is held back]
        self._sandboxes = {name: self._new_collections() for name in options.sandbox}
        first = self._sandboxes[options.sandbox[0]]['connections']
        for identifier, entity in connections.seeds(options.seed_connections):
            first.add(entity, identifier)

    @staticmethod
    def _new_collections():
        collections = {'connections': Collection('connections', connections.FIELDS)}
        for name in CREATORS:
            collections[name] = Collection(name, flows.MORE_FIELDS)
        collections['connectionSpecs'] = Collection('connectionSpecs', flows.MORE_FIELDS)
        collections['connectionSpecs'].add(dict(flows.CONNECTION_SPEC), flows.CONNECTION_SPEC['id'])
        return collections

    def state(self):
        """What exists now, for the command "connections"."""
        with self._lock:
            return {'connections': [
                {'id': entity['id'], 'name': entity['name'], 'sandbox': sandbox}
                for sandbox, collections in self._sandboxes.items()
                for entity in collections['connections'].entities.values()]}

    def answer(self, request):
        """(answer, fault); the request is on record when this returns."""
        call = Call(request)
        try:
            answer = self._answer(call)
        except ApiError as error:
            answer = error.answer
        self._recorder.write(call, answer)
        if self._options.delay:
            time.sleep(self._options.delay)
        return answer, call.fault

    def _answer(self, call):
        if call.request.path == ims.PATH:
            self._ims.read(call)
            return self._with_fault(call, self._ims.answer)

        is_ours = call.split_path()
        try:
            call.sandbox = self._gate.check(call.request)
        except ApiError:
            call.note_body()
            raise
        if call.request.path == DATA_SETS:
            # a number that no double holds: what passes through must keep it
            return json_answer(200, {'5f3c3cedb2805c194ff0b69a': {
                'name': 'Orders', 'rows': 9223372036854775807}})
        if not is_ours or call.collection not in self._sandboxes[call.sandbox]:
            raise ApiError(error_answer(404, 'Resource not found', shape='gateway'))
        if call.kind in ('POST', 'PATCH', 'SEARCH'):
            call.read_json()
        self._carry_out_late(call)
        call.name = self._name_of(call)
        return self._with_fault(call, self._process)

    def _with_fault(self, call, process):
        call.fault = self._faults.find(call.kind, call.name)
        if call.fault is None:
            return process(call)
        answer = process(call) if call.fault.processes else None
        if 'late' in call.fault:
            with self._lock:
                self._late.append([int(call.fault['late']), call])
        return call.fault.apply(call, answer)

    def _carry_out_late(self, call):
        """What was held back, and is due before this request on the same object."""
        with self._lock:
            for item in self._late:
                item[0] -= (item[1].sandbox, item[1].entity_id) == (call.sandbox, call.entity_id)
            due = [late for left, late in self._late if left < 1]
            self._late = [item for item in self._late if item[0] > 0]
        for late in due:
            late = copy.copy(late)
            late.fault = None
            try:
                answer = self._process(late)
            except ApiError as error:
                answer = error.answer
            late.kind = 'LATE'
            self._recorder.write(late, answer)

    def _name_of(self, call):
        """The name that may hold a fault, and stands in the record."""
        if call.entity_id:
            entity = self._collections(call)[call.collection].entities.get(call.entity_id)
            return entity and entity.get('name')
        if call.kind == 'POST':
            return call.body.get('name') if isinstance(call.body, dict) else None
        properties = call.request.query.get('property', [])
        if call.parameter('continuationToken'):
            properties = listing.read_token(call.parameter('continuationToken'),
                                            call.collection)['property']
        for text in properties:
            field, operator, value = text.partition('==')
            if operator and field.strip() == 'name':
                values = filter_values(value)
                return values[0] if len(values) == 1 else value
        return None

    def _collections(self, call):
        return self._sandboxes[call.sandbox]

    def _process(self, call):
        """Carries the request out; one at a time, as nothing here waits."""
        only_connections = call.kind in ('TEST', 'EXPLORE', 'PREVIEW', 'CONFIGS')
        if call.kind == 'UNKNOWN' or (only_connections and call.collection != 'connections'):
            raise ApiError(error_answer(405, 'Method not allowed', shape='gateway'))
        handler = getattr(self, '_on_' + call.kind.lower())
        with self._lock:
            collection = self._collections(call)[call.collection]
            if call.entity_id:
                return handler(call, collection, collection.get(call.entity_id))
            return handler(call, collection)

    def _on_post(self, call, collection):
        if call.collection == 'connectionSpecs':
            raise ApiError(error_answer(405, 'Method not allowed', shape='gateway'))
        call.check_parameters('mode')
        if not isinstance(call.body, dict):
            raise connections.bad('the body must be an object')
        if call.collection == 'connections':
            entity = connections.created(call.body, call.parameter('mode') == 'draft')
        else:
            entity = CREATORS[call.collection](call.body, self._collections(call))
        collection.add(entity)
        call.created = entity['id']
        return json_answer(201, {'id': entity['id'], 'etag': entity['etag']},
                           [('Location', f'{PREFIX}{call.collection}/{entity["id"]}')])

    def _on_get(self, call, collection, entity):
        call.check_parameters()
        return json_answer(200, {'items': [self._shown(call, entity)]})

    def _shown(self, call, entity):
        shown = connections.shown(entity, self._options.secrets_on_get)
        return {**shown, **ORG_WIDE, 'sandboxName': call.sandbox,
                'imsOrgId': self._options.org, 'version': entity['etag']}

    def _on_count(self, call, collection):
        call.check_parameters('property', 'count', 'limit')
        if call.parameter('limit'):
            raise flow_error(400, '1401', 'limit and count cannot both be given.')
        return listing.count(collection, call.request.query.get('property', []))

    def _on_list(self, call, collection):
        call.check_parameters(*listing.PARAMETERS)
        query = listing.query_of(call, self._options.page_size)
        return self._page(call, collection, query, call.collection)

    def _on_search(self, call, collection):
        call.check_parameters('continuationToken')
        if not isinstance(call.body, dict):
            raise connections.bad('the body must be an object')
        query = listing.search_of(call, self._options.page_size)
        if call.body.get('count') is True:
            return listing.count(collection, query['property'])
        return self._page(call, collection, query, call.collection + '/search')

    def _page(self, call, collection, query, path):
        return listing.page(collection, query, path, lambda entity: self._shown(call, entity),
                            (call.fault or {}).get('paging'))

    def _on_patch(self, call, collection, entity):
        self._check_version(call, entity)
        collection.replace(entity, connections.patched(entity, call.body))
        return json_answer(200, {'id': entity['id'], 'etag': entity['etag']})

    @staticmethod
    def _check_version(call, entity):
        version = call.request.header('if-match')
        if not version:
            raise flow_error(400, '1403', 'The header If-Match is missing.', call.collection)
        if version != entity['etag']:
            raise flow_error(412, '1404', f'Supplied version=[{version}] does not match the '
                             f'current version on entity=[{entity["etag"]}]', call.collection)

    def _on_delete(self, call, collection, entity):
        if call.collection == 'connections' and any(
                flows.uses(flow, entity['id'])
                for flow in self._collections(call)['flows'].entities.values()):
            raise flow_error(400, '1418', 'The base connection is still used by flows.')
        collection.remove(entity['id'])
        return Answer(self._options.delete_status)

    def _on_test(self, call, _collection, entity):
        return connections.probe(call.fault, entity, self._options.log_in)

    def _on_configs(self, _call, _collection, _entity):
        return json_answer(200, connections.CONFIGS)

    def _on_explore(self, call, _collection, _entity):
        return self._explorer.answer(call)

    _on_preview = _on_explore

    def _on_action(self, call, collection, entity):
        op = (call.parameter('op') or '').lower()
        states = {'publish': 'enabled'}
        if call.collection == 'flows':
            states.update(enable='enabled', disable='disabled')
        if op.startswith('finalize'):
            raise flow_error(400, '1402', 'finalize is for providers only.')
        if op not in states:
            raise flow_error(400, '1406', f'The action {op} is unknown.')
        if entity.get('state') == states[op]:
            raise flow_error(400, '1421', 'The state does not allow this action.')
        collection.replace(entity, {**entity, 'state': states[op]})
        return json_answer(200, {'id': entity['id'], 'etag': entity['etag']})
