"""Makes the pages that nginx answers a list with.

    pages.py FOLDER PAGES

A page is a file, named by its continuation token up to the first character that
is escaped in the link to it, and "first".  Prints the bytes of all pages.
"""

import base64
import json
import pathlib
import random
import sys
import urllib.parse
import uuid

PAGE_SIZE = 100
CREATOR = "28AF22BA5DE6B0B40A494036@techacct.adobe.com"

numbers = random.Random(1)


def entity(number):
    """A connection as Flow Service shows it."""
    time = 1668637963851 + number * 60007
    etag = '"%08x-0000-0200-0000-%08x0000"' % (numbers.getrandbits(32), time // 1000)
    return {
        "id": str(uuid.UUID(int=numbers.getrandbits(128), version=4)),
        "createdAt": time, "updatedAt": time + 5000,
        "createdBy": CREATOR, "updatedBy": CREATOR,
        "createdClient": CREATOR, "updatedClient": CREATOR,
        "sandboxId": "1bd86660-c5da-11e9-93d4-6d5fc3a66a8e", "sandboxName": "prod",
        "imsOrgId": "5C1328435BF324E90A49402A@AdobeOrg",
        "name": "PostgreSQL tenant_%06d at db1.example.com:5432" % number,
        "connectionSpec": {"id": "74a1c565-4e59-48d7-9d67-7c03b8a13137", "version": "1.0"},
        "state": "enabled",
        "auth": {"specName": "Basic Authentication", "params": {}},
        "version": etag, "etag": etag,
    }


def token(page):
    """Opaque, long, and with characters that a URL has to escape."""
    state = {"token": "+RID:~4ULXAK%06d#RT:1#TRC:%d" % (page, page * PAGE_SIZE), "orderby": "name"}
    return urllib.parse.quote(base64.b64encode(json.dumps(state).encode()).decode(), safe="")


def main():
    folder = pathlib.Path(sys.argv[1])
    pages = int(sys.argv[2])
    total = 0
    for page in range(pages):
        first = page * PAGE_SIZE
        body = {"items": [entity(first + i) for i in range(PAGE_SIZE)], "_links": {}}
        if page + 1 < pages:
            body["_links"]["next"] = {
                "href": "/connections?continuationToken=" + token(page + 1)}
        text = json.dumps(body, separators=(",", ":"))
        total += len(text)
        (folder / (token(page).split("%")[0] if page else "first")).write_text(text)
    print(total)


main()
