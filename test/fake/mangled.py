"""Successful answers that are not what a client expects."""

import gzip
import html
import json

from .floods import bomb

MANGLED = {'notjson', 'noid', 'badid', 'nulid', 'surrogate', 'badutf8', 'dupid', 'idcase',
           'noetag', 'empty', 'html', 'chunked'}
SIZED = {'deep', 'huge', 'gzip', 'body', 'layers', 'rows'}
OTHER = {'hide'}

# Stands for bytes that json.dumps() would not write; replaced afterwards.
MARK = '\ue000'
MARK_ESCAPED = json.dumps(MARK)[1:-1].encode()


def mangle(fault, answer):
    """Changes a successful answer as the fault asks."""
    _move(fault, answer)
    if not fault.keys() & (MANGLED | SIZED | OTHER):
        return
    if 'layers' in fault:
        answer.body = bomb(int(fault['layers']))
        answer.chunked = 'chunked' in fault
        return
    if 'body' in fault:
        more = fault.get('repeat', b'') * int(fault.get('count', '0'))
        answer.body = fault['body'] + more + fault.get('end', b'')
        return
    if 'empty' in fault:
        answer.body = b''
        return
    if 'html' in fault:
        page = f"<html><body>{html.escape(fault.get('message', 'a page'))}</body></html>\n"
        answer.body, answer.content_type = page.encode(), 'text/html'
        return
    if 'notjson' in fault:
        answer.body = b'{"id": this is not JSON'
        return
    value = json.loads(answer.body or b'{}')
    if 'rows' in fault:
        value = _with_rows(value, int(fault['rows']))
    answer.body = _mangle_members(fault, value)
    if 'huge' in fault:
        answer.body = _padded(answer.body, len(answer.body) + int(fault['huge']))
    if 'gzip' in fault:
        answer.body = gzip.compress(_padded(answer.body, int(fault['gzip'])))
        answer.headers.append(('Content-Encoding', 'gzip'))
    answer.chunked = 'chunked' in fault


def _move(fault, answer):
    """A body that was mangled is all that is known of an object, unless it says otherwise."""
    if 'location' in fault or fault.keys() & (MANGLED | SIZED):
        answer.headers = [header for header in answer.headers if header[0] != 'Location']
    if 'location' in fault:
        answer.headers.append(('Location', fault['location']))


def _with_rows(value, count):
    """The same with every list of rows or columns so many times over."""
    if isinstance(value, list):
        return value * count
    return {name: _with_rows(member, count) if name in ('items', 'data', 'schema', 'columns')
            else member for name, member in value.items()}


def _mangle_members(fault, value):
    """The answer's text, with its first entity changed."""
    entity = value
    if isinstance(value, dict) and value.get('items'):
        entity = value['items'][0]
    if not isinstance(entity, dict):
        return json.dumps(value).encode()

    identifier, etag = entity.get('id', ''), entity.get('etag', '')
    if 'noid' in fault:
        entity.pop('id', None)
    if 'noetag' in fault:
        entity.pop('etag', None)
    if 'badid' in fault:
        entity['id'] = 'not-a-uuid'
    if 'nulid' in fault:
        entity['id'] = identifier + '\0'
    if 'idcase' in fault:
        entity['ID'] = entity.pop('id', '')
    if 'surrogate' in fault:
        entity['etag'] = etag + '\ud800'
    if 'badutf8' in fault:
        entity['etag'] = etag + MARK
    if 'hide' in fault:
        entity.get('auth', {}).get('params', {}).pop(fault['hide'], None)
    if 'dupid' in fault:
        entity[MARK + 'id'] = identifier
    text = json.dumps(value).encode()
    text = text.replace(MARK_ESCAPED, b'\xff' if 'badutf8' in fault else b'')
    if 'deep' in fault:
        depth = int(fault['deep'])
        text = b'{"x":' + b'[' * depth + b']' * depth + b',' + text.lstrip()[1:]
    return text


def _padded(text, size):
    """The same object with one more member, so that it has this size."""
    fixed = len(text) + len(b',"x":""')
    return text.rstrip()[:-1] + b',"x":"' + b'x' * max(0, size - fixed) + b'"}'
