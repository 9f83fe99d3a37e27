"""A web server over TLS, as well-behaved or as broken as a test wants it: each path has bytes (served with ETag and ranges) or a rule."""

import datetime
import email.utils
import hashlib
import os
import socket
import ssl
import tempfile
import threading

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
    """files: path -> bytes, or a function (web, connection, request) that answers by itself and gives True to keep the connection."""

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
