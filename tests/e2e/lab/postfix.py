"""Real Postfix instances, each with its own configuration and queue folder, delivering into Maildirs."""

import email
import email.policy
import glob
import os
import subprocess
import time

from . import net


class Postfix:
    """One instance on ip:25 that takes mail for domains; cert is (chain, key) in PEM or None for no TLS. extra: main.cf settings.
    With a resolver's address it finds MX hosts itself; it sends nothing to other servers else, but to relay_through."""

    def __init__(self, folder, ip, host, domains, cert=None, relay_through=None, resolver=None, extra=None):
        self.folder, self.ip, self.host, self.resolver = folder, ip, host, resolver
        self.conf, self.queue, self.mail = f"{folder}/conf", f"{folder}/queue", f"{folder}/mail"
        for d in (self.conf, self.queue, self.mail, f"{folder}/data"):
            os.makedirs(d, exist_ok=True)
        for path in (folder, self.mail):
            os.chmod(path, 0o755)
        subprocess.run(["chown", "-R", "postfix:postfix", f"{folder}/data", self.mail], check=True)
        net.address(ip)
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.queue, "data_directory": f"{folder}/data", "myhostname": host,
            "mydestination": "", "inet_interfaces": ip, "inet_protocols": "all" if ":" in ip else "ipv4", "mynetworks": "10.77.0.0/16",
            "virtual_mailbox_domains": " ".join(domains), "virtual_mailbox_base": self.mail, "virtual_mailbox_maps": "static:all/",
            "virtual_uid_maps": "static:" + _id("-u"), "virtual_gid_maps": "static:" + _id("-g"), "virtual_mailbox_limit": "0",
            "message_size_limit": "0", "mailbox_size_limit": "0", "maillog_file": f"{folder}/log",
            "maillog_file_prefixes": folder, "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtputf8_enable": "yes", "smtpd_tls_security_level": "none", "smtp_tls_security_level": "may",
            "smtpd_client_connection_rate_limit": "0", "smtpd_client_connection_count_limit": "0", "default_database_type": "hash",
            "alias_maps": "", "alias_database": "", "smtp_host_lookup": "native", "disable_dns_lookups": "yes",
            "smtpd_peername_lookup": "no", "smtpd_discard_ehlo_keywords": "", "biff": "no", "hopcount_limit": "200", "always_add_missing_headers": "no",
            "relayhost": f"[{relay_through}]" if relay_through else "", "smtp_bind_address": "" if ":" in ip else ip,
        }
        if cert:
            with open(f"{self.conf}/cert.pem", "w") as f:
                f.write(cert[1] + cert[0])
            os.chmod(f"{self.conf}/cert.pem", 0o600)
            settings.update({"smtpd_tls_chain_files": f"{self.conf}/cert.pem", "smtpd_tls_security_level": "may",
                             "smtpd_tls_received_header": "yes", "smtpd_tls_loglevel": "1"})
        if resolver:
            settings.update({"smtp_host_lookup": "dns", "disable_dns_lookups": "no"})
            with open(f"{folder}/resolv.conf", "w") as f:
                f.write(f"nameserver {resolver}\n")
        settings.update(extra or {})
        with open(f"{self.conf}/main.cf", "w") as f:
            f.writelines(f"{k} = {v}\n" for k, v in settings.items())
        with open("/usr/share/postfix/master.cf.dist" if os.path.exists("/usr/share/postfix/master.cf.dist") else "/etc/postfix/master.cf") as f:
            master = f.read()
        with open(f"{self.conf}/master.cf", "w") as f:
            f.write(_no_chroot(master))

    def start(self):
        command = ["postfix", "-c", self.conf, "start"]
        if self.resolver:  # the system's resolver is this one for nobody else
            own = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf && exec " + " ".join(command)
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", own]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + self.log())
        return self

    def stop(self):
        subprocess.run(["postfix", "-c", self.conf, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def log(self):
        return open(f"{self.folder}/log").read() if os.path.exists(f"{self.folder}/log") else ""

    def files(self):
        return sorted(glob.glob(f"{self.mail}/all/new/*"), key=os.path.getmtime)

    def messages(self):
        """Delivered mail, oldest first, as bytes."""
        return [open(f, "rb").read() for f in self.files()]

    def wait_for(self, needle, timeout=60):
        """The first delivered mail that holds needle, as bytes."""
        needle = needle.encode() if isinstance(needle, str) else needle
        end = time.time() + timeout
        while True:
            for m in self.messages():
                if needle in m:
                    return m
            if time.time() > end:
                raise AssertionError(f"{self.host} got no mail with {needle!r} in {timeout} s; its log ends:\n{self.log()[-1500:]}")
            time.sleep(0.1)

    def flush(self):
        subprocess.run(["postqueue", "-c", self.conf, "-f"], check=True)


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def _id(flag):
    return subprocess.run(["id", flag, "postfix"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _no_chroot(master):
    out = []
    for line in master.splitlines():
        fields = line.split()
        if line and not line[0].isspace() and not line.startswith("#") and len(fields) >= 8:
            fields[4] = "n"
            line = " ".join(fields)
        out.append(line)
    if not any(l.startswith("postlog") for l in out):
        out.append("postlog unix-dgram n - n - 1 postlogd")
    return "\n".join(out) + "\n"
