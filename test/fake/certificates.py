"""Throw-away certificates, made by the openssl tool.

Python's standard library verifies certificates but cannot make them.  All
leaves share one key: making keys is what takes the time.
"""

import os
import subprocess
from datetime import datetime, timedelta, timezone

GOOD_NAMES = 'DNS:localhost,DNS:moved.test,IP:127.0.0.1,IP:::1'

# "openssl ca" is the one command that sets both dates in every version of
# OpenSSL, and an expired certificate needs that.
CONFIG = """\
[ca]
default_ca = authority
[authority]
new_certs_dir = {dir}
database = {dir}/index.txt
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
commonName = unused
[authority_extensions]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf_extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${{ENV::NAMES}}
"""


class Certificates:
    """A CA (ca.pem) that clients trust, another one, and leaves of both."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, 'certificates')
        os.makedirs(self.folder, exist_ok=True)
        with open(self._file('openssl.cnf'), 'w', encoding='ascii') as config:
            config.write(CONFIG.format(dir=self.folder))
        self.ca_file = os.path.join(folder, 'ca.pem')
        self.other_ca_file = self._file('other_ca.pem')
        self.key = self._file('leaf.key')
        self._make_authority(self.ca_file, 'fake Flow Service CA')
        self._make_authority(self.other_ca_file, 'unknown CA')
        self._make_key(self.key)

    def leaf(self, name, names=GOOD_NAMES, ca_file=None, expired=False):
        """Makes a certificate; returns its file."""
        ca_file = ca_file or self.ca_file
        certificate, request = self._file(name + '.pem'), self._file(name + '.csr')
        end = datetime.now(timezone.utc) + timedelta(days=-1 if expired else 30)
        start = end - timedelta(days=60)
        open(self._file('index.txt'), 'w', encoding='ascii').close()
        self._openssl('req', '-new', '-key', self.key, '-subj', '/CN=' + name, '-out', request,
                      '-config', self._file('openssl.cnf'))
        self._openssl('ca', '-batch', '-notext', '-config', self._file('openssl.cnf'),
                      '-extensions', 'leaf_extensions', '-cert', ca_file,
                      '-keyfile', self._key_of(ca_file), '-in', request, '-out', certificate,
                      '-startdate', f'{start:%Y%m%d%H%M%SZ}', '-enddate', f'{end:%Y%m%d%H%M%SZ}',
                      names=names)
        return certificate

    def _make_authority(self, ca_file, name):
        self._make_key(self._key_of(ca_file))
        self._openssl('req', '-new', '-x509', '-key', self._key_of(ca_file), '-days', '30',
                      '-subj', '/CN=' + name, '-config', self._file('openssl.cnf'),
                      '-extensions', 'authority_extensions', '-out', ca_file)

    def _make_key(self, key):
        self._openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key)

    def _key_of(self, ca_file):
        return self._file(os.path.basename(ca_file) + '.key')

    def _file(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*arguments, names=GOOD_NAMES):
        done = subprocess.run(('openssl',) + arguments, env=dict(os.environ, NAMES=names),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            output = done.stdout.decode(errors='replace')
            raise RuntimeError(f'openssl {arguments[0]} failed:\n{output}')
