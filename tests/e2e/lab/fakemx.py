"""A mail server that misbehaves on demand: a readable script instead of a library, with raw sockets around STARTTLS."""

import base64
import socket
import ssl
import tempfile
import threading
import time

from . import net


class FakeMx:
    """cert: (chain, key); None: where TLS would begin, the connection ends. Behaviour by keyword:
    starttls: "offer", "none", "xxxxxxxx", "454", "garbage" (bytes after the 220), "break" (closes after 220)
    replies: {"MAIL": "450 4.3.2 no", ...} for greeting, EHLO, MAIL, RCPT, DATA, END; a list is used up one by one
    cut: step at which the connection is cut ("MAIL", "RCPT", "DATA", "BODY", "END", ...; "ANSWER": it has the mail, and says nothing)
    tls: ssl.TLSVersion to allow at most
    implicit: TLS from the first byte, as on port 465
    hang_up_after: so many mails in one session, then it ends without a word (set it later)
    login: (user, password) that AUTH wants; mechanisms go into extensions ("AUTH PLAIN LOGIN"). What was shown stands in .logins."""

    def __init__(self, ip, host, cert=None, starttls="offer", replies=None, cut=None, tls=None, port=25, extensions=(), delay=0,
                 implicit=False, login=None):
        self.ip, self.host, self.starttls, self.cut, self.delay = net.address(ip), host, starttls, cut, delay
        self.replies = {k: list(v) if isinstance(v, list) else v for k, v in (replies or {}).items()}
        self.extensions = list(extensions)
        self.implicit, self.login, self.logins = implicit, login, []
        self.hang_up_after, self.open = None, {}
        self.mails, self.commands, self.sessions, self.plain_mails, self.tls_mails, self.unanswered = [], [], 0, 0, 0, 0
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
                f.write(cert[1] + cert[0])
                f.flush()
                self.context.load_cert_chain(f.name)
            if tls:
                self.context.maximum_version = tls
        self.listener = socket.create_server((ip, port), family=socket.AF_INET6 if ":" in ip else socket.AF_INET, backlog=50)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread: a mere close would let it take one more
        except OSError:
            pass
        self.listener.close()
        for conn in list(self.open.values()):  # a session that waits for another mail
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._session, args=(conn,), daemon=True).start()

    def _answer(self, step, normal):
        """The bytes to send."""
        text = self.replies.get(step, normal)
        if isinstance(text, list):
            text = text.pop(0) if text else normal
        return text.encode() + b"\r\n" if isinstance(text, str) else text

    def _reply(self, conn, step, normal):
        if self.cut == step:
            raise ConnectionAbortedError
        answer = self._answer(step, normal)
        conn.sendall(answer)
        return answer[:3].decode()

    def _session(self, conn):
        conn.settimeout(60)
        self.open[threading.get_ident()] = conn
        try:
            self._dialogue(conn)
        except (OSError, ssl.SSLError, ConnectionError, ValueError):
            pass
        finally:
            try:
                self.open.pop(threading.get_ident()).close()
            except OSError:
                pass

    def _ehlo(self, secure):
        words = [self.host, "PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", *self.extensions]
        if not secure:
            words += {"offer": ["STARTTLS"], "454": ["STARTTLS"], "garbage": ["STARTTLS"], "break": ["STARTTLS"],
                      "xxxxxxxx": ["XXXXXXXX"]}.get(self.starttls, [])
        return "\r\n".join("250" + (" " if i == len(words) - 1 else "-") + w for i, w in enumerate(words))

    def _auth(self, conn, words):
        """PLAIN with its initial response, LOGIN by two questions (RFC 4954, and what everybody calls LOGIN)."""
        def answer(question):
            conn.sendall(b"334 " + base64.b64encode(question) + b"\r\n")
            return base64.b64decode(conn.recv(4096).strip()).decode()

        if words[0].upper() == "PLAIN":
            shown = tuple(base64.b64decode(words[1]).decode().split("\0")[1:])
        else:
            shown = (answer(b"Username:"), answer(b"Password:"))
        self.logins.append(shown)
        conn.sendall(b"235 2.7.0 welcome\r\n" if shown == self.login else b"535 5.7.8 wrong user name or password\r\n")

    def _under_tls(self, conn):
        if not self.context:
            raise ConnectionAbortedError
        conn = self.context.wrap_socket(conn, server_side=True)
        self.open[threading.get_ident()] = conn
        return conn

    def _dialogue(self, conn):
        secure, buf, done = self.implicit, b"", 0
        time.sleep(self.delay)
        if self.implicit:
            conn = self._under_tls(conn)
        self._reply(conn, "greeting", f"220 {self.host} ESMTP")
        mail = {}
        while True:
            while b"\r\n" not in buf:
                got = conn.recv(65536)
                if not got:
                    return
                buf += got
            line, buf = buf.split(b"\r\n", 1)
            text = line.decode(errors="replace")
            self.commands.append(text)
            verb = text.split(" ")[0].upper()
            if verb in ("EHLO", "HELO"):
                self._reply(conn, "EHLO", self._ehlo(secure))
            elif verb == "STARTTLS":
                if self.starttls == "454":
                    conn.sendall(b"454 4.7.0 TLS not available due to a temporary reason\r\n")
                    continue
                conn.sendall(b"220 2.0.0 go\r\n" + (b"250 2.1.0 injected\r\n250 2.1.5 injected\r\n" if self.starttls == "garbage" else b""))
                if self.starttls == "break":
                    return
                conn = self._under_tls(conn)
                secure, buf = True, b""
            elif verb == "AUTH":
                self._auth(conn, text.split(" ")[1:])
            elif verb == "MAIL":
                mail = {}
                if self._reply(conn, "MAIL", "250 2.1.0 ok").startswith("2"):
                    mail = {"from": text, "to": [], "tls": conn.version() if secure else None}
            elif verb == "RCPT":
                if not mail:
                    conn.sendall(b"503 5.5.1 no sender\r\n")
                elif self._reply(conn, "RCPT", "250 2.1.5 ok").startswith("2"):
                    mail["to"].append(text)
            elif verb == "DATA":
                if not mail.get("to"):
                    conn.sendall(b"554 5.5.1 no valid recipients\r\n")
                    continue
                if self._reply(conn, "DATA", "354 go") != "354":
                    continue
                text, scanned = bytearray(buf), 0
                while not text.startswith(b".\r\n") and text.find(b"\r\n.\r\n", max(0, scanned - 4)) < 0:
                    scanned = len(text)
                    got = conn.recv(65536)
                    if not got:
                        return
                    text += got
                    if self.cut == "BODY":
                        return
                end = text.find(b"\r\n.\r\n")
                body, buf = (bytes(text[:end]), bytes(text[end + 5:])) if end >= 0 else (b"", b"")
                if self.cut == "END":
                    return
                mute = self.cut == "ANSWER"
                answer = b"250" if mute else self._answer("END", "250 2.0.0 queued")
                if answer.startswith(b"250"):  # counted before it is answered: who has seen the answer finds the mail here
                    self.unanswered += mute
                    self.tls_mails += secure
                    self.plain_mails += not secure
                    mail["body"] = body.replace(b"\r\n..", b"\r\n.")
                    self.mails.append(mail)
                    mail, done = {}, done + 1
                if mute:
                    return
                conn.sendall(answer)
                if done and done == self.hang_up_after:
                    return
            elif verb == "QUIT":
                conn.sendall(b"221 2.0.0 bye\r\n")
                return
            elif verb in ("RSET", "NOOP"):
                conn.sendall(b"250 2.0.0 ok\r\n")
            else:
                conn.sendall(b"500 5.5.1 what\r\n")

    def wait_for(self, n=1, timeout=60):
        end = time.time() + timeout
        while len(self.mails) < n:
            assert time.time() < end, f"{self.host} got {len(self.mails)} mails instead of {n}; commands: {self.commands[-20:]}"
            time.sleep(0.05)
        return self.mails[n - 1]


class MailServers:
    """Starts servers and tells names, the lab's DNS server, whose mail they get: with MailServers(names) as serve: serve("a.example").
    All stop when the context ends. authority gives each a certificate; usual: what they are, for FakeMx."""

    def __init__(self, names, authority=None, **usual):
        self.names, self.authority, self.usual, self.started = names, authority, usual, []

    def __call__(self, *domains, host=None, ip=None, **kw):
        """One for these domains, for none if the test tells the DNS itself; as a rule it is mx.DOMAIN, at a fresh address."""
        host = host or f"mx.{domains[0]}"
        if self.authority:
            kw = {"cert": self.authority.issue(host), **kw}
        mx = FakeMx(ip or net.fresh_ip(), host, **{**self.usual, **kw})
        self.started.append(mx)
        for domain in domains:
            self.names.mail_domain(domain, host, mx.ip)
        return mx

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        for mx in self.started:
            mx.stop()
