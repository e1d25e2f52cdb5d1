"""What a script outside PostgreSQL pays for the request that floor.c makes.

    outside.py requests|curl URL CA_FILE CALLS

"requests" uses one requests.Session, "curl" a process of the curl tool for each
call.  Prints the microseconds of each call.
"""

import json
import subprocess
import sys
import time

HEADERS = {
    "Authorization": "Bearer " + "t" * 1024,
    "x-api-key": "bench-api-key",
    "x-gw-ims-org-id": "5C1328435BF324E90A49402A@AdobeOrg",
    "x-sandbox-name": "prod",
    "Accept": "application/json",
    "Content-Type": "application/json",
}
BODY = {
    "name": "PostgreSQL postgres at db1.example.com:5432",
    "description": "d" * 260,
    "auth": {
        "specName": "Basic Authentication",
        "params": {
            "server": "db1.example.com", "port": "5432", "database": "postgres",
            "username": "acme", "password": "the database password", "sslMode": "Prefer",
        },
    },
    "connectionSpec": {"id": "74a1c565-4e59-48d7-9d67-7c03b8a13137", "version": "1.0"},
}


def requests_call(url, ca_file):
    import requests

    session = requests.Session()
    session.trust_env = False  # no proxy

    def call():
        answer = session.post(url, json=BODY, headers=HEADERS, verify=ca_file)
        return answer.json()["id"]

    return call


def curl_call(url, ca_file):
    command = ["curl", "--silent", "--noproxy", "*", "--cacert", ca_file,
               "--data", json.dumps(BODY)]
    for header in HEADERS.items():
        command += ["--header", "%s: %s" % header]

    def call():
        answer = subprocess.run(command + [url], check=True, capture_output=True)
        return json.loads(answer.stdout)["id"]

    return call


def main():
    make = {"requests": requests_call, "curl": curl_call}[sys.argv[1]]
    call = make(sys.argv[2], sys.argv[3])
    for _ in range(int(sys.argv[4])):
        start = time.time_ns()
        call()
        print((time.time_ns() - start) // 1000)


main()
