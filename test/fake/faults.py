"""Faults, chosen by the request itself.

A connection named "fault:status=503,times=2 anything" fails as it says.  So
tests need no control channel, run in parallel, and explain themselves.  The
keys are listed in KEYS; values are percent-encoded; the text after the first
blank only makes names distinct.  For a token request the client secret plays
the part of the name.
"""

import json
import threading
import time
import urllib.parse
import uuid
from email.utils import formatdate

from .answers import Answer, ApiError, error_answer, json_answer
from .mangled import MANGLED, mangle

PREFIX = 'fault:'

# when: on=KIND|KIND, times=N, after=N, processed=0|1
WHEN = {'on', 'times', 'after', 'processed'}
# an error of the service; see answers.py for the shapes
ERRORS = {'status', 'code', 'message', 'shape', 'retry_after', 'echo', 'redirect'}
# what transport.py does to an answer
TRANSPORT = {'close', 'reset', 'truncate', 'badchunk', 'junk_status', 'stall', 'drip', 'delay',
             'close_after', 'die_kept', 'bigheader', 'read_slow'}
# what the handlers of single kinds of request look at
HANDLED = {'result', 'paging', 'life', 'accept', 'refuse', 'expires_in', 'notoken', 'token_type'}
KEYS = WHEN | ERRORS | TRANSPORT | HANDLED | MANGLED


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
        fault = _parse(name)
        default = 'TOKEN' if kind == 'TOKEN' else 'POST'
        if kind not in fault.get('on', default).split('|'):
            return None
        with self._lock:
            met = self._met.get((kind, name), 0)
            self._met[kind, name] = met + 1
        first = int(fault.get('after', '0'))
        if met < first or ('times' in fault and met >= first + int(fault['times'])):
            return None
        return fault


def _parse(name):
    fault = Fault()
    words = name[len(PREFIX):].split(None, 1)
    for pair in (words[0].split(',') if words else ()):
        key, _, value = pair.partition('=')
        if key not in KEYS:
            # A misspelt fault must not pass for a working service.
            raise ApiError(error_answer(599, f'the fake knows no fault "{key}"', shape='text'))
        fault[key] = urllib.parse.unquote(value)
    return fault
