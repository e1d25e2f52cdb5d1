"""GET /connections/{id}/explore: tables, views and columns."""

import json

from .answers import ApiError, error_answer, json_answer


def _column(name, kind, **xdm):
    return {'name': name, 'type': kind, 'xdm': {'type': kind, **xdm}}


ORDERS = {
    'format': 'flat',
    'schema': {'columns': [
        _column('id', 'integer', minimum=-9007199254740991, maximum=9007199254740991),
        _column('customer', 'string'),
        _column('paid', 'boolean'),
        {**_column('placed_at', 'string', format='date-time'), 'meta:xdmType': 'date-time'}]},
    'data': [{'id': 9007199254740991, 'customer': 'Ærø & Söhne', 'paid': True,
              'placed_at': '2024-02-29T12:34:56'},
             {'id': 2, 'customer': None, 'paid': False, 'placed_at': '2024-03-01T00:00:00'}]}
OLDER_SHAPE = {
    'format': 'flat',
    'schema': {'columns': [{'name': 'Id', 'type': 'string', 'meta': {'originalType': 'String'}}]},
    'data': []}
COLUMNS = {'public.orders': ORDERS, 'public.customers': OLDER_SHAPE,
           'sales.Odd "name" & more.2024': OLDER_SHAPE}


class Explorer:
    """The tables that every connection of the fake finds."""

    def __init__(self, path=None):
        self._columns = COLUMNS
        tables = None
        if path:
            with open(path, encoding='utf-8') as file:
                given = json.load(file)
            self._columns = given.get('columns', {})
            tables = given.get('tables')
        self._tables = tables if tables is not None else [
            {'type': 'table', 'name': name, 'path': name, 'canPreview': True,
             'canFetchSchema': True} for name in self._columns]
        # what is a view is not found as a table, as Adobe's tutorial for Dynamics has it
        self._kinds = {table['path']: table['type'].lower() for table in self._tables
                       if isinstance(table, dict) and 'path' in table and 'type' in table}

    def answer(self, call):
        call.check_parameters('objectType', 'object', 'preview', 'filters')
        kind = (call.parameter('objectType') or '').lower()
        if kind == 'root':
            return json_answer(200, self._tables)
        if kind not in {'table', *self._kinds.values()}:
            raise self._error('1358', 'objectType must be root, or what root calls an object')
        path = call.parameter('object')
        if not path:
            raise self._error('1337', 'The parameter object is missing')
        if call.parameter('filters'):
            raise self._error('1353', 'Filters are not supported by this connector')
        if path not in self._columns or kind != self._kinds.get(path, 'table'):
            raise self._error('1330', f'No columns were found for the {kind} {path}')
        table = dict(self._columns[path])
        if call.parameter('preview') != 'true':
            table.pop('data', None)
        return json_answer(200, table)

    @staticmethod
    def _error(code, message):
        return ApiError(error_answer(400, message, 'CONNECTOR-' + code))
