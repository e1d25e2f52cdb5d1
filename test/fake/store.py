"""Collections of entities: made, found, filtered, ordered, paged.

Pages are cut by position in the order, not by number, so that they stay right
while entities come and go.
"""

import bisect
import itertools
import json
import re
import time
import uuid

from .answers import flow_error

SORT_FIELDS = ('name', 'createdAt', 'updatedAt')
FIELD_OPERATOR = re.compile(r'\s*([A-Za-z_@$:.\[\]-]+)\s*(==|>=|<=|>|<)(.*)', re.DOTALL)

versions = itertools.count(1)


def new_etag():
    """Quoted, unlike any other, and with the time in its last group, as real ones are."""
    return f'"{next(versions):08x}-0000-0200-0000-{int(time.time()):08x}0000"'


def now():
    return int(time.time() * 1000)


class Collection:
    """The entities of one kind in one sandbox, in the order of their creation."""

    def __init__(self, name, fields):
        self.name = name
        self.fields = fields  # first parts of what can be filtered and ordered by
        self.entities = {}
        self._order = []
        self._numbers = []  # beside _order: ascending, and never given twice
        self._number_of = {}
        self._next = 0
        self._sorted = {}  # by field; empty after each change

    def add(self, entity, identifier=None, etag=None):
        entity['id'] = identifier or str(uuid.uuid4())
        entity['etag'] = etag or new_etag()
        entity.setdefault('createdAt', now())
        entity.setdefault('updatedAt', entity['createdAt'])
        self.entities[entity['id']] = entity
        self._order.append(entity)
        self._numbers.append(self._next)
        self._number_of[entity['id']] = self._next
        self._next += 1
        self._sorted.clear()
        return entity

    def get(self, identifier):
        entity = self.entities.get(identifier)
        if entity is None:
            raise flow_error(404, '1439', f'{self.name} not found with id = [{identifier}]',
                             self.name)
        return entity

    def replace(self, entity, changed):
        """Puts the changed entity in the place of the old one, under a new etag."""
        changed['etag'] = new_etag()
        changed['updatedAt'] = now()
        entity.clear()
        entity.update(changed)
        self._sorted.clear()

    def remove(self, identifier):
        del self.entities[identifier]
        place = bisect.bisect_left(self._numbers, self._number_of.pop(identifier))
        del self._order[place], self._numbers[place]
        self._sorted.clear()

    def matching(self, properties):
        """All entities that match the filters."""
        tests = [self._test(text) for text in properties]
        return [entity for entity in self._order if all(test(entity) for test in tests)]

    def page(self, properties, orderby, limit, after):
        """(entities, the key of the last one, or None if no more follow)"""
        tests = [self._test(text) for text in properties]
        descending, keys, order = self._in_order(orderby)
        if descending:
            end = len(keys) if after is None else bisect.bisect_left(keys, after)
            places = range(end - 1, -1, -1)
        else:
            start = 0 if after is None else bisect.bisect_right(keys, after)
            places = range(start, len(keys))
        found, last = [], None
        for place in places:
            if all(test(order[place]) for test in tests):
                if len(found) == limit:
                    return found, last
                found.append(order[place])
                last = keys[place]
        return found, None

    def _in_order(self, orderby):
        """(descending, keys, entities); both lists are ascending."""
        if orderby is None:
            return False, self._numbers, self._order
        if orderby.startswith(' '):
            raise flow_error(400, '1432', 'A sort prefix is + (written %2B) or -.', self.name)
        field = orderby[1:] if orderby[:1] in ('+', '-') else orderby
        if field not in SORT_FIELDS:
            raise flow_error(400, '1433', f'Cannot sort by {field}.', self.name)
        if field not in self._sorted:
            rows = sorted(([entity.get(field), number], place) for place, (number, entity)
                          in enumerate(zip(self._numbers, self._order)))
            self._sorted[field] = ([key for key, _ in rows],
                                   [self._order[place] for _, place in rows])
        return (orderby.startswith('-'), *self._sorted[field])

    def _test(self, text):
        """One filter expression as a function of an entity."""
        match = FIELD_OPERATOR.fullmatch(text)
        if not match:
            raise flow_error(400, '1440', f'Cannot understand the filter {text!r}.', self.name)
        path = match[1].split('.')
        if path[0].removesuffix('[]') not in self.fields:
            raise flow_error(400, '1423', f'Unknown filter field {match[1]}.', self.name)
        operator, wanted = match[2], filter_values(match[3])
        if operator == '==':
            wanted = set(wanted)
            return lambda entity: not wanted.isdisjoint(map(_text, values_at(entity, path)))
        if len(wanted) != 1:
            raise flow_error(400, '1443', f'{operator} takes one value.', self.name)
        return lambda entity: any(
            _compare(operator, value, wanted[0]) for value in values_at(entity, path))


def filter_values(text):
    """The values of a filter: commas separate them, quotes protect commas."""
    values = []
    while True:
        match = re.match(r'\s*"(.*?)"\s*(,|$)', text, re.DOTALL) or re.match(
            r'([^,]*)(,|$)', text, re.DOTALL)
        values.append(match[1])
        if not match[2]:
            return values
        text = text[match.end():]


def values_at(value, path):
    """All values that a path leads to; "a[].b" leads into every item of a list."""
    if not path:
        return [value]
    name, rest = path[0], path[1:]
    if not isinstance(value, dict) or name.removesuffix('[]') not in value:
        return []
    inner = value[name.removesuffix('[]')]
    if name.endswith('[]'):
        return [found for item in inner for found in values_at(item, rest)]
    return values_at(inner, rest)


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _compare(operator, value, wanted):
    try:
        value, wanted = float(value), float(wanted)
    except (TypeError, ValueError):
        value = _text(value)
    return {'>': value > wanted, '<': value < wanted,
            '>=': value >= wanted, '<=': value <= wanted}[operator]
