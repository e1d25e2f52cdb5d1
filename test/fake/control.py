"""Starts, asks and stops a server from another process.

A running server holds a lock on DIR/lock.  Unlike a process id, a lock is
never someone else's, and a zombie holds none.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

START_SECONDS = 60
PAUSE = 0.02


def running(folder):
    """Does a server hold the lock?"""
    try:
        with open(os.path.join(folder, 'lock'), 'w', encoding='ascii') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def ready(folder):
    with open(os.path.join(folder, 'ready.json'), encoding='ascii') as file:
        return json.load(file)


def start(folder, arguments):
    """Runs a server in the background; returns its URL when it listens."""
    os.makedirs(folder, exist_ok=True)
    if running(folder):
        sys.exit(f'a fake Flow Service runs in {folder} already')
    ready_file = os.path.join(folder, 'ready.json')
    if os.path.exists(ready_file):
        os.unlink(ready_file)
    with open(os.path.join(folder, 'server.log'), 'ab') as log:
        server = subprocess.Popen(
            [sys.executable, os.path.abspath(sys.argv[0]), 'run', *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    end = time.monotonic() + START_SECONDS
    while not os.path.exists(ready_file):
        if server.poll() is not None or time.monotonic() > end:
            server.kill()
            with open(log.name, encoding='utf-8', errors='replace') as text:
                sys.exit('the fake Flow Service did not start:\n' + text.read())
        time.sleep(PAUSE)
    return ready(folder)['https']


def stop(folder):
    """Returns when the server is gone; one that is gone already is fine."""
    number = signal.SIGTERM
    patience = time.monotonic() + 5
    while running(folder):
        try:
            os.kill(ready(folder)['pid'], number)
        except (ProcessLookupError, FileNotFoundError):
            pass
        if time.monotonic() > patience:
            number = signal.SIGKILL
        time.sleep(PAUSE)


def print_connections(folder, as_json):
    """Has the server write state.json, and prints it."""
    path = os.path.join(folder, 'state.json')
    if os.path.exists(path):
        os.unlink(path)
    if not running(folder):
        sys.exit(f'no fake Flow Service runs in {folder}')
    os.kill(ready(folder)['pid'], signal.SIGUSR1)
    while not os.path.exists(path):
        if not running(folder):
            sys.exit('the fake Flow Service ended')
        time.sleep(PAUSE)
    with open(path, encoding='ascii') as file:
        connections = json.load(file)['connections']
    if as_json:
        print(json.dumps(connections))
        return
    for connection in connections:
        print(connection['id'], connection['name'])
