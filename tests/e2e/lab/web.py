"""Web servers over TLS: one as well-behaved or as broken as a test wants it, and nginx."""

import datetime
import email.utils
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from . import net, pki


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if line)}

    def range_from(self):
        """Where the wanted range begins, and its end or None; None when there is no range."""
        value = self.headers.get("range", "")
        if not value.startswith("bytes="):
            return None
        first, last = value[6:].split("-")
        return int(first), int(last) if last else None


def date(unix_s):
    return email.utils.formatdate(unix_s, usegmt=True)


class Web:
    """Each path has bytes, served with ETag and ranges, or a rule. files: path -> bytes, or a function (web, connection, request) that answers by itself and gives True to keep the connection."""

    def __init__(self, ip, name, cert=None, now=None, port=443):
        """now: the unix time that Date says; None: the real one, or a function."""
        self.ip, self.name, self.port, self.now = net.address(ip), name, port, now
        self.files, self.requests, self.connections = {}, [], 0
        self.use(cert or pki.good_ca().issue(name))
        self.sock = socket.create_server((ip, port), family=socket.AF_INET6 if ":" in ip else socket.AF_INET, backlog=16)
        threading.Thread(target=self._accept, daemon=True).start()

    def use(self, cert):
        """Shows this (chain, key) from now on."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in zip(("chain", "key"), cert):
                with open(os.path.join(folder, name), "w") as f:
                    f.write(text)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{folder}/chain", f"{folder}/key")
        self.context = context

    def _accept(self):
        while True:
            try:
                raw, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        raw.settimeout(60)
        try:
            with self.context.wrap_socket(raw, server_side=True) as connection:
                self.connections += 1
                while self._one(connection):
                    pass
                connection.unwrap()
        except (OSError, ValueError):
            pass
        finally:
            raw.close()

    def _one(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return False
            head += piece
        request = Request(head.split(b"\r\n\r\n")[0])
        self.requests.append(request)
        content = self.files.get(request.path)
        if callable(content):
            return content(self, connection, request)
        if content is None:
            return self.answer(connection, 404, b"not here\n", request=request)
        return self.static(connection, request, content)

    def unix(self):
        now = self.now() if callable(self.now) else self.now
        return datetime.datetime.now().timestamp() if now is None else now

    def answer(self, connection, status, body=b"", request=None, **fields):
        head = [f"HTTP/1.1 {status} x", f"Date: {date(self.unix())}", f"Content-Length: {len(body)}"]
        head += [f"{k.replace('_', '-')}: {v}" for k, v in fields.items()]
        connection.sendall("\r\n".join(head + ["", ""]).encode() + (b"" if request and request.method == "HEAD" else body))
        return True

    def static(self, connection, request, content):
        """What a good server for files says."""
        tag = etag(content)
        wanted = request.range_from()
        if request.headers.get("if-none-match") == tag:
            head = f"HTTP/1.1 304 x\r\nDate: {date(self.unix())}\r\nETag: {tag}\r\n\r\n"
            connection.sendall(head.encode())
            return True
        if wanted is None or request.headers.get("if-range", tag) != tag:
            return self.answer(connection, 200, content, request, ETag=tag)
        first, last = wanted
        if first >= len(content):
            return self.answer(connection, 416, b"", request, Content_Range=f"bytes */{len(content)}")
        last = min(len(content) - 1, len(content) if last is None else last)
        return self.answer(connection, 206, content[first:last + 1], request, ETag=tag, Content_Range=f"bytes {first}-{last}/{len(content)}")

    def paths(self):
        return [r.path for r in self.requests]

    def stop(self):
        self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.sock.close()


def etag(content):
    return '"' + hashlib.sha256(content).hexdigest()[:20] + '"'


class Nginx:
    """The real thing, for files."""

    def __init__(self, ip, name):
        self.ip, self.name, self.folder = net.address(ip), name, tempfile.mkdtemp(prefix="postern-nginx-")
        os.chmod(self.folder, 0o755)
        chain, key = pki.good_ca().issue(name)
        for file, text in (("chain.pem", chain), ("key.pem", key), ("conf", f"""
daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{}}
http {{
  log_format short "$request_method $request_uri $status";
  access_log {self.folder}/access.log short;
  client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2; fastcgi_temp_path {self.folder}/t3;
  uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
  server {{ listen {ip}:443 ssl; ssl_certificate {self.folder}/chain.pem; ssl_certificate_key {self.folder}/key.pem; root {self.folder}/www; }}
}}""")):
            with open(f"{self.folder}/{file}", "w") as f:
                f.write(text)
        os.mkdir(f"{self.folder}/www")
        self.process = subprocess.Popen(["nginx", "-c", f"{self.folder}/conf", "-e", f"{self.folder}/error.log"])
        end = time.time() + 60
        while socket.socket().connect_ex((ip, 443)):
            assert time.time() < end and self.process.poll() is None, open(f"{self.folder}/error.log").read()
            time.sleep(0.05)

    def put(self, name, path):
        shutil.copyfile(path, f"{self.folder}/www/{name}")

    def requests(self):
        with open(f"{self.folder}/access.log") as f:
            return f.read().splitlines()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
