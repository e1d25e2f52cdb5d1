#!/usr/bin/env python3
"""A fake of Adobe's Flow Service, for tests, the demo, and users without an account.

    flow_service.py start --dir DIR [options]     starts it in the background
    flow_service.py connections --dir DIR         prints the connections that exist
    flow_service.py stop --dir DIR                stops it
    flow_service.py run --dir DIR [options]       runs it in the foreground

DIR gets ready.json (the addresses), ca.pem (the CA to trust), requests.jsonl
(one line for each request) and server.log.  Needs Python 3.11 or newer and the
openssl tool; listens on loopback only, on ports that the kernel picks.
"""

import argparse
import sys

# what the template of the Platform API asks for
PLATFORM_SCOPES = ['openid', 'session', 'AdobeID', 'read_organizations',
                   'additional_info.projectedProductContext']


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    for name in ('start', 'run'):
        add_options(commands.add_parser(name))
    commands.add_parser('stop').add_argument('--dir', required=True)
    listing = commands.add_parser('connections')
    listing.add_argument('--dir', required=True)
    listing.add_argument('--json', action='store_true', help='one JSON array')
    arguments = parser.parse_args()
    if arguments.command in ('start', 'run'):
        # argparse would append to a default list, not replace it
        arguments.access_token = arguments.access_token or ['demo-access-token']
        arguments.client_secret = arguments.client_secret or ['demo-client-secret']
        arguments.sandbox = arguments.sandbox or ['prod', 'dev']
        arguments.scope = arguments.scope or PLATFORM_SCOPES
    return arguments


def add_options(parser):
    add = parser.add_argument
    add('--dir', required=True)
    add('--parent-pid', type=int, metavar='PID', help='exit when this process is gone')
    add('--record-secrets', action='store_true', help='in clear; default: as hashes')
    add('--access-token', action='append', metavar='T', help='accepted; may be repeated')
    add('--api-key', default='demo-api-key', metavar='K', help='also the client id of IMS')
    add('--client-secret', action='append', metavar='S', help='may be repeated')
    add('--scope', action='append', metavar='S', help='allowed; may be repeated')
    add('--token-life', type=int, default=86399, metavar='SECONDS')
    add('--ims-max-per-second', type=int, metavar='N', help='429 beyond')
    add('--org', default='5C1328435BF324E90A49402A@AdobeOrg')
    add('--sandbox', action='append', help='may be repeated; default: prod, dev')
    add('--page-size', type=int, default=20, metavar='N')
    add('--seed-connections', type=int, default=0, metavar='N', help='exist from the start')
    add('--secrets-on-get', choices=('omit', 'mask', 'echo'), default='omit')
    add('--delete-status', type=int, choices=(204, 202), default=204)
    add('--delay', type=float, default=0, metavar='SECONDS', help='before each answer')
    add('--log-in', metavar='HOST', help='a test of a connection really logs in there, with psql')
    add('--explore', metavar='FILE', help='JSON: {"tables": [...], "columns": {path: {...}}}')


def main():
    arguments = parse_arguments()
    # Imported late: the server takes a while to load, and most commands do without.
    if arguments.command == 'run':
        from fake import server
        server.run(arguments)
        return
    from fake import control
    if arguments.command == 'start':
        print(control.start(arguments.dir, sys.argv[2:]))
    elif arguments.command == 'stop':
        control.stop(arguments.dir)
    else:
        control.print_connections(arguments.dir, arguments.json)


if __name__ == '__main__':
    main()
