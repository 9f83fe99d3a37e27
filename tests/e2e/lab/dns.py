"""A real authoritative server (nsd) for the whole lab's name space, the root included; records may be added while it runs."""

import contextlib
import ipaddress
import os
import subprocess

from . import net
from .wait import until


class Dns:
    def __init__(self, folder, ip=net.DNS):
        self.folder, self.ip, self.records, self.process = folder, ip, [], None
        os.makedirs(folder, exist_ok=True)
        self.serial = 1

    def add(self, *lines):
        """Zone-file lines with absolute names: 'example.com. MX 10 mx.example.com.'"""
        self.records += lines
        if self.process:
            self._write()
            self._reload()

    def forget(self, *starts):
        """Drops the records that begin with any of these, at the next add."""
        self.records = [r for r in self.records if not r.startswith(starts)]

    def host(self, name, ip, reverse=True):
        kind = "AAAA" if ":" in ip else "A"
        lines = [f"{name}. {kind} {ip}"]
        if reverse:
            lines.append(f"{ipaddress.ip_address(ip).reverse_pointer}. PTR {name}.")
        self.add(*lines)

    def mail_domain(self, domain, mx, ip, preference=10):
        """domain's mail goes to mx at ip, whatever was said of either before."""
        self.forget(f"{domain}. MX ", f"{mx}. A ")
        self.host(mx, ip)
        self.add(f"{domain}. MX {preference} {mx}.")

    def _write(self):
        self.serial += 1
        lines = ["$TTL 5", f". SOA ns.lab. admin.lab. {self.serial} 3600 600 86400 5", ". NS ns.lab.", f"ns.lab. A {self.ip}"]
        with open(f"{self.folder}/root.zone", "w") as f:
            f.write("\n".join(lines + sorted(set(self.records), key=self.records.index)) + "\n")

    def _reload(self):
        """Said again after a while: nsd forgets what it is told while it begins."""
        old = self._servers()
        for seconds in (3, 60):
            os.kill(self.process.pid, 1)
            with contextlib.suppress(AssertionError):
                until(lambda: self._serial_served() == self.serial and not old & self._servers(), timeout=seconds, every=0.05)
                return
        raise AssertionError("nsd did not take the new zone: " + open(f"{self.folder}/log").read()[-2000:])

    def _servers(self):
        """The processes that answer, below nsd's second one: for a moment those of the old zone answer, too."""
        def children(pid):
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                return f.read().split()
        while self.process.poll() is None:
            with contextlib.suppress(FileNotFoundError):  # one has just gone
                return {pid for main in children(self.process.pid) for pid in children(main)}
        return set()

    def _serial_served(self):
        import dns.exception
        import dns.message
        import dns.query
        try:
            answer = dns.query.udp(dns.message.make_query(".", "SOA"), self.ip, timeout=0.5)
            return answer.answer[0][0].serial if answer.answer else None
        except (dns.exception.Timeout, OSError):
            return None

    def start(self):
        net.address(self.ip)
        self._write()
        with open(f"{self.folder}/nsd.conf", "w") as f:
            f.write(f"""server:
  ip-address: {self.ip}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  pidfile: "{self.folder}/pid"
  database: ""
  zonelistfile: "{self.folder}/zone.list"
  xfrdfile: "{self.folder}/xfrd.state"
  xfrdir: "{self.folder}"
  logfile: "{self.folder}/log"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: root.zone
""")
        self.process = subprocess.Popen(["nsd", "-d", "-c", f"{self.folder}/nsd.conf"], stdout=subprocess.DEVNULL,
                                        stderr=open(f"{self.folder}/stderr", "w"))
        until(lambda: self.process.poll() is not None or self._serial_served() is not None, every=0.05)
        if self.process.poll() is not None:
            raise RuntimeError("nsd did not start: " + open(f"{self.folder}/stderr").read())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
