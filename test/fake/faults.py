"""Faults, chosen by the request itself.

A connection named "fault:status=503,times=2 anything" fails as it says.  So
tests need no control channel, run in parallel, and explain themselves.  Values
are percent-encoded; the text after the first blank only makes names distinct.
A request on an existing object goes by the stored name, a list by its filter
"name==...", a token request by the client secret.  Of several faults, with a
semicolon between them, the first that holds for the request is met.

when
  on=KIND|KIND     POST (default), GET, PATCH, DELETE, LIST, COUNT, SEARCH, TEST,
                   EXPLORE, PREVIEW, CONFIGS, ACTION; TOKEN (default of a secret)
  after=N, times=N not the first N such requests, and then only N of them
  processed=0|1    whether the state changes; default: not if the service refuses
  late=N           it is carried out, as it came, right before the Nth request on
                   that object after it, and then on record as LATE: a gateway
                   held it back.  close=, stall= or status=504 say what the client
                   gets meanwhile
errors
  status=N, code=, message=, shape= (see answers.py)
  retry_after=VALUE, or date+N for the date in N seconds
  echo=1           the message repeats every secret of the request
  redirect=URL
answers that are not as expected: see mangled.py
  notjson noid badid nulid surrogate badutf8 dupid idcase noetag empty =1
  hide=PARAM       auth.params without this one
  html=1           a page with the text of message=
  body=BYTES       these; with repeat=BYTES,count=N,end=BYTES more of them
  deep=N           in N arrays;  huge=N, with chunked=1: N bytes more
  rows=N           its rows, tables or columns N times over
  gzip=N           N bytes, packed
  layers=N         a body that unpacks to no end, in N layers of gzip
  heads=LINES      more headers; %0A between them
  location=URL     another Location than that of what was made; none with the above
exchanges that break: see transport.py
  close= or reset= before, mid_headers, mid_body
  stall=           before_headers, mid_headers, mid_body
  truncate=N       that much of the body;  badchunk=1;  junk_status=1
  drip=S           a byte each S seconds;  delay=S
  close_after=S    closes the idle connection
  die_kept=1       no answer on a connection that was used before
  read_slow=1      stops reading, for bodies of more than 1 MB
  bigheader=N
  flood=           early, headers, header, body, blocks (of nothing, packed), extension
                   (of a chunk), trailers: without end
  unasked=         one more answer, of somebody else's: joined (in one record of TLS),
                   split (in one record with the body), next (in the next record),
                   later (after 50 ms)
single kinds
  result=true|false|error (TEST);  paging=repeat|empty|loop|blank (LIST)
  life=S, accept=N (calls), refuse=flow2114|flow2115 (then, instead of 401),
  expires_in=RAW|none, notoken=1, token_type= (TOKEN)
"""

import json
import re
import threading
import time
import urllib.parse
import uuid
from email.utils import formatdate

from .answers import SHAPES, Answer, ApiError, error_answer, json_answer
from .floods import KINDS as FLOODS
from .mangled import MANGLED, mangle
from .transport import UNASKED

PREFIX = 'fault:'

BREAKS = ('before', 'mid_headers', 'mid_body')
KINDS = {'POST', 'GET', 'PATCH', 'DELETE', 'LIST', 'COUNT', 'SEARCH', 'TEST', 'EXPLORE', 'PREVIEW',
         'CONFIGS', 'ACTION', 'TOKEN'}
NUMBERS = {'times', 'after', 'status', 'truncate', 'drip', 'delay', 'close_after', 'bigheader',
           'late', 'life', 'accept', 'deep', 'huge', 'gzip', 'count', 'layers', 'rows'}
FLAGS = {'echo', 'badchunk', 'junk_status', 'die_kept', 'read_slow', 'notoken'}
CHOICES = {
    'processed': ('0', '1'), 'close': BREAKS, 'reset': BREAKS,
    'stall': ('before_headers', 'mid_headers', 'mid_body'),
    'shape': SHAPES, 'result': ('true', 'false', 'error'), 'paging': ('repeat', 'empty', 'loop', 'blank'),
    'refuse': ('flow2114', 'flow2115'), 'flood': FLOODS, 'unasked': UNASKED}
RAW = {'body', 'repeat', 'end'}
TEXTS = {'on', 'hide', 'code', 'message', 'retry_after', 'redirect', 'expires_in', 'token_type',
         'heads', 'location'}


class Fault(dict):
    """The keys and values of one fault."""

    def number(self, key):
        return float(self[key])

    @property
    def status(self):
        return int(self.get('status', '0'))

    @property
    def processes(self):
        """Does the state change despite the fault?"""
        if 'late' in self:
            return False
        refuses = self.status >= 300 or 'redirect' in self
        return self.get('processed', '0' if refuses else '1') == '1'

    def apply(self, call, answer):
        """The answer to send: the given one, spoiled, or another.

        answer is None if the request was not processed.
        """
        if 'redirect' in self:
            answer = Answer(307, headers=[('Location', self['redirect'])])
        elif self.status >= 300:
            answer = self._error(call)
        elif answer is None:
            answer = json_answer(201 if call.kind == 'POST' else 200,
                                 {'id': str(uuid.uuid4()), 'etag': '"never-made"'})
        elif self.status:
            answer.status = self.status
        if 'retry_after' in self:
            answer.headers.append(('Retry-After', self._retry_after()))
        if 'heads' in self:
            answer.headers += [line.split(': ', 1) for line in self['heads'].split('\n')]
        if 'bigheader' in self:
            answer.headers.append(('X-Big', 'x' * int(self['bigheader'])))
        if answer.successful and answer.status != 204:
            mangle(self, answer)
        return answer

    def _error(self, call):
        message = self.get('message', 'a fault that was asked for')
        if 'echo' in self:
            message += ': ' + ' '.join(_spellings(call.secrets()))
        shape = self.get('shape', 'ims' if call.kind == 'TOKEN' else 'current')
        return error_answer(self.status, message, self.get('code'), shape, call.collection)

    def _retry_after(self):
        value = self['retry_after']
        if value.startswith('date'):
            return formatdate(time.time() + float(value[4:] or 0), usegmt=True)
        return value


def _spellings(secrets):
    """Each secret plainly, and as JSON and a URL would write it."""
    for secret in secrets:
        yield secret
        yield json.dumps(secret)[1:-1]
        yield urllib.parse.quote(secret, safe='')


class Faults:
    """Finds the fault of a request and counts how often it was met."""

    def __init__(self):
        self._met = {}
        self._lock = threading.Lock()

    def find(self, kind, name):
        """The fault that holds for this request, or None."""
        if not isinstance(name, str) or not name.startswith(PREFIX):
            return None
        default = 'TOKEN' if kind == 'TOKEN' else 'POST'
        faults = [fault for fault in _parse_all(name)
                  if kind in fault.get('on', default).split('|')]
        if not faults:
            return None
        with self._lock:
            met = self._met.get((kind, name), 0)
            self._met[kind, name] = met + 1
        for fault in faults:
            first = int(fault.get('after', '0'))
            if met >= first and ('times' not in fault or met < first + int(fault['times'])):
                return fault
        return None


def _parse_all(name):
    words = name[len(PREFIX):].split(None, 1)
    return [_parse(text) for text in (words[0].split(';') if words else ())]


def _parse(text):
    fault = Fault()
    for pair in text.split(','):
        key, _, value = pair.partition('=')
        if not _is_known(key, value):
            # A misspelt fault must not pass for a service that works, or is broken.
            raise ApiError(error_answer(599, f'the fake knows no fault "{pair}"', shape='text'))
        decode = urllib.parse.unquote_to_bytes if key in RAW else urllib.parse.unquote
        fault[key] = decode(value)
    return fault


def _is_known(key, value):
    if key == 'on':
        return KINDS.issuperset(value.split('|'))
    if key in CHOICES:
        return value in CHOICES[key]
    if key in NUMBERS:
        return re.fullmatch(r'[0-9]+(\.[0-9]+)?', value) is not None
    return key in TEXTS | RAW or (key in FLAGS | MANGLED and value == '1')
