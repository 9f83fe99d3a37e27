"""Runs our ACME client alone (tests/programs/acme_issue)."""

import json
import subprocess

from cryptography import x509

from .box import BUILD

END = "-----END CERTIFICATE-----\n"


class Dialogue:
    """verdicts: one a try; met: (type, identifier) of the challenges; chain: certificates, pem: their text, or what else was printed."""

    def __init__(self, ip, port, roots, directory, *args, prepare=None):
        """prepare(kind, identifier, token, proof) is called for each challenge."""
        self.verdicts, self.met, self.pem = [], [], ""
        self.process = subprocess.Popen([f"{BUILD}/tests/programs/acme_issue", ip, str(port), roots, directory, *args],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._read(prepare)
        _, errors = self.process.communicate()
        assert self.process.returncode == 0 and not errors, errors
        parts = self.pem.split(END) if END in self.pem else []
        self.chain = [x509.load_pem_x509_certificate((part + END).encode()) for part in parts if part.strip()]

    def _read(self, prepare):
        for line in self.process.stdout:
            if line.startswith("prepare "):
                challenge = line.rstrip("\n").split(" ", 4)[1:]
                self.met.append(tuple(challenge[:2]))
                if prepare:
                    prepare(*challenge)
                self.process.stdin.write("go\n")
                self.process.stdin.flush()
            elif line.startswith("{"):
                self.verdicts.append(json.loads(line))
            elif not line.startswith("done "):
                self.pem += line

    @property
    def verdict(self):
        return self.verdicts[-1]
