"""Lists: GET of a collection and POST .../search; filters, counts, pages."""

import base64
import json
import urllib.parse

from .answers import flow_error, json_answer

MAX_LIMIT = 100
MAX_SEARCH_LIMIT = 1000
PARAMETERS = ('property', 'limit', 'orderby', 'continuationToken', 'count')
# Decoding a token twice would change this; only taking it as it came is right.
TOKEN_END = '=%41'
# What a link should not hold as it is.
BLANKS = 'a blank\tand '


def count(collection, properties):
    return json_answer(200, {'count': len(collection.matching(properties))})


def query_of(call, page_size):
    """What to list: from the parameters, or from the token that packs them."""
    token = call.parameter('continuationToken')
    if token:
        query = read_token(token, call.collection)
    else:
        query = {'property': call.request.query.get('property', []),
                 'orderby': call.parameter('orderby'), 'limit': page_size, 'after': None}
    limit = call.parameter('limit')
    if limit is not None:
        number = int(limit) if limit.isascii() and limit.isdigit() else 0
        query['limit'] = _checked(number, MAX_LIMIT)
    return query


def search_of(call, page_size):
    """The same for a search, whose query is in the body."""
    token = call.parameter('continuationToken')
    if token:
        return read_token(token, call.collection)
    text = call.body.get('queryString')
    return {'property': [text] if text else [], 'orderby': call.body.get('orderby') or None,
            'limit': _checked(call.body.get('limit', page_size), MAX_SEARCH_LIMIT), 'after': None}


def _checked(limit, most):
    if not isinstance(limit, int) or not 1 <= limit <= most:
        raise flow_error(400, '1450', f'limit must be between 1 and {most}.')
    return limit


def page(collection, query, path, show, paging=None):
    """One page; paging is the fault of that name."""
    entities, last = collection.page(
        query['property'], query['orderby'], query['limit'], query['after'])
    body = {'items': [show(entity) for entity in entities], '_links': {}}
    token = _next_token(query, last, paging)
    if token is not None:
        href = f'/{path}?continuationToken={urllib.parse.quote(token, safe="")}'
        if paging == 'blank':
            href = href.replace('=', '=' + BLANKS, 1)
        body['_links'] = {'next': {'href': href}}
    return json_answer(200, body)


def _next_token(query, last, paging):
    """The token of the next page, or one that a client had better see through."""
    if paging == 'empty':
        return ''
    if paging == 'repeat':  # leads to the same page for ever
        return make_token(query)
    if paging == 'loop':  # the first page follows the last one
        return make_token({**query, 'after': last})
    return None if last is None else make_token({**query, 'after': last})


def make_token(state):
    text = base64.b64encode(json.dumps(state).encode()).decode()
    return text.rstrip('=') + TOKEN_END


def read_token(token, collection):
    """What make_token() packed; an altered token is an error."""
    try:
        text = token.removeprefix(BLANKS).removesuffix(TOKEN_END)
        if token == token.removesuffix(TOKEN_END):
            raise ValueError('the end is missing')
        return json.loads(base64.b64decode(text + '=' * (-len(text) % 4), validate=True))
    except ValueError as error:
        raise flow_error(400, '1451', 'The continuation token is invalid.', collection) from error
