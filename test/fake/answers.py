"""Answers, and the shapes that an error has on the wire."""

import html
import json
import uuid

# The code that an error of this status gets when nothing more is known.
FLOW_CODES = {400: 1100, 403: 2120, 404: 1439, 412: 1404,
              500: 1400, 502: 1102, 503: 1103, 504: 1104}
GATEWAY_CODES = {401: '401013', 403: '403025', 429: '429050'}

SHAPES = ('gateway', 'gateway_int', 'current', 'older', 'message', 'framework', 'ims',
          'empty', 'html', 'text')

REASONS = {
    200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 307: 'Temporary Redirect',
    400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
    405: 'Method Not Allowed', 409: 'Conflict', 412: 'Precondition Failed',
    422: 'Unprocessable Entity', 429: 'Too Many Requests', 431: 'Request Header Fields Too Large',
    500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable',
    504: 'Gateway Timeout'}


class Answer:
    """A status, headers and a body of bytes."""

    def __init__(self, status, body=b'', content_type='application/json', headers=()):
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = list(headers)
        self.chunked = False

    @property
    def successful(self):
        return 200 <= self.status < 300


class ApiError(Exception):
    """Ends the handling of a request with an error answer."""

    def __init__(self, answer):
        super().__init__(answer.status)
        self.answer = answer


def json_answer(status, value, headers=()):
    # Raw UTF-8 rather than \\u escapes, as most services send it.
    text = json.dumps(value, ensure_ascii=False, separators=(',', ':'))
    return Answer(status, text.encode('utf-8', 'surrogatepass'), headers=headers)


def full_code(code, status):
    """FLOW-1418 and 400 make FLOW-1418-400; what has a suffix keeps it."""
    if code is None:
        code = f'FLOW-{FLOW_CODES.get(status, 1100)}'
    last = code.rsplit('-', 1)[-1]
    return code if len(last) == 3 and last.isdigit() else f'{code}-{status}'


def error_answer(status, message, code=None, shape='current', subject='connections'):
    """An error in one of the shapes that Adobe's services use, or that proxies make up."""
    reason = REASONS.get(status, 'Error')
    if shape == 'empty':
        return Answer(status)
    if shape == 'html':
        page = f'<html><head><title>{status} {reason}</title></head><body>{html.escape(message)}'
        return Answer(status, (page + '</body></html>\n').encode(), 'text/html')
    if shape == 'text':
        return Answer(status, message.encode(), 'text/plain')
    if shape in ('gateway', 'gateway_int'):
        if code is None or not code.isdigit():
            code = GATEWAY_CODES.get(status, f'{status}000')
        return json_answer(status, {
            'error_code': int(code) if shape == 'gateway_int' else code, 'message': message})
    if shape == 'current':
        return json_answer(status, {
            'type': 'https://ns.adobe.com/aep/errors/' + full_code(code, status),
            'title': reason, 'status': status,
            'report': {'detailed-message': message, 'request-id': str(uuid.uuid4()),
                       'type': subject},
            'errorMessage': message, 'errorDetails': message})
    if shape == 'older':
        return json_answer(status, {'errorMessage': message, 'errorDetails': message})
    if shape == 'message':
        return json_answer(status, {'message': message})
    if shape == 'framework':
        return json_answer(status, {
            'type': '/placeholder/type/uri', 'status': status,
            'title': reason.replace(' ', '') + 'Error', 'detail': message})
    if shape == 'ims':
        return json_answer(status, {
            'error': code or 'invalid_request', 'error_description': message})
    raise ValueError(f'unknown shape "{shape}"')


def flow_error(status, code, message, subject='connections'):
    return ApiError(error_answer(status, message, f'FLOW-{code}', subject=subject))


def gateway_error(code, message):
    """The status is the first three digits of the code."""
    return ApiError(error_answer(int(code[:3]), message, code, 'gateway'))


def framework_error(status, message):
    return ApiError(error_answer(status, message, shape='framework'))
