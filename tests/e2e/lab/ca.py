"""Pebble: a certificate authority of the lab, which checks challenges over its network."""

import base64
import itertools
import json
import os
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request

from . import net, pki

NAME = "ca.example"
MAC_KEY = "an authority's mac key, which it gave on a page of its own"
MAC_KEY_TEXT = base64.urlsafe_b64encode(MAC_KEY.encode()).decode().rstrip("=")
_addresses = itertools.count(1)


def wait_port(ip, port, process):
    end = time.time() + 60
    while socket.socket().connect_ex((ip, port)):
        assert time.time() < end and process.poll() is None
        time.sleep(0.05)


class Pebble:
    """At its own address, checking http-01 on port 80 and tls-alpn-01 on 443. Each start forgets accounts and makes a new root."""

    def __init__(self, bind=False, life_s=None, ip=None, name=NAME, **env):
        """bind: accounts need an external one; life_s: of the certificates; env: PEBBLE_*."""
        self.ip = ip or net.address(f"{net.PREFIX}.52.{next(_addresses)}")
        self.name, self.url, self.process = name, f"https://{name}:14000/dir", None
        self.env = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0", **env}
        self._folder = tempfile.TemporaryDirectory()
        self.folder = self._folder.name
        for file, text in zip(("chain.pem", "key.pem"), pki.good_ca().issue(name)):
            self._write(file, text)
        config = {"listenAddress": f"{self.ip}:14000", "managementListenAddress": f"{self.ip}:15000", "certificate": f"{self.folder}/chain.pem",
                  "privateKey": f"{self.folder}/key.pem", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "",
                  "externalAccountBindingRequired": bind, "externalAccountMACKeys": {"kid-1": MAC_KEY_TEXT}}
        if life_s:
            config["certificateValidityPeriod"] = life_s
        self._write("config", json.dumps({"pebble": config}))
        self._write("root.pem", pki.good_ca().root_pem)

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as f:
            f.write(text)

    def start(self):
        self.process = subprocess.Popen(["pebble", "-config", f"{self.folder}/config", "-dnsserver", f"{net.DNS}:53", "-strict"],
                                        env=self.env, stdout=open(f"{self.folder}/log", "a"), stderr=subprocess.STDOUT)
        wait_port(self.ip, 14000, self.process)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *args):
        self.stop()
        self._folder.cleanup()

    def root(self, n=0):
        """The root of what it issues, in PEM; from 1 on: of its alternate chains."""
        context = ssl._create_unverified_context()
        return urllib.request.urlopen(f"https://{self.ip}:15000/roots/{n}", context=context).read().decode()

    def log(self):
        with open(f"{self.folder}/log") as f:
            return f.read()
