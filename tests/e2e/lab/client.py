"""Outside and inside clients: a plain SMTP client for whole mails, and raw sockets for everything else."""

import smtplib
import socket
import ssl

from . import net


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def send(box, sender, recipients, body, source=None, tls=True, port=25, options=(), timeout=60, rcpt_options=()):
    """One mail as a well-behaved client; gives the final reply's text. body: str (lines get CRLF) or bytes (as they are)."""
    source = net.address(source or net.CLIENTS + "1")
    with smtplib.SMTP(box.ip, port, local_hostname="client.example", timeout=timeout, source_address=(source, 0)) as s:
        s.ehlo()
        if tls:
            s.starttls(context=unverified())
            s.ehlo()
        code, text = s.mail(sender, list(options))
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, text, sender)
        for r in [recipients] if isinstance(recipients, str) else recipients:
            code, text = s.rcpt(r, list(rcpt_options))
            if code not in (250, 251):
                raise smtplib.SMTPRecipientsRefused({r: (code, text)})
        code, text = s.data(body)
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
        return text.decode()


def mail(subject, text="Hello.", sender="someone@sender.example", to="anna@office.example"):
    return f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@sender.example>\r\n\r\n{text}\r\n"


class Raw:
    """A socket with a buffer: says bytes, reads replies."""

    def __init__(self, box, source=None, port=25, timeout=60, greeting=True, early=None, source_port=0):
        """source, by default an outside address, and box may be IPv6 addresses' owners; early: bytes that travel with the handshake's
        last segment, before any greeting."""
        self.source = net.address(source or net.CLIENTS + "1")
        self.sock = socket.socket(socket.AF_INET6 if ":" in self.source else socket.AF_INET)
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(source_port != 0))
        self.sock.bind((self.source, source_port))
        if early:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        self.sock.connect((box.ip if self.sock.family == socket.AF_INET else box.ip6, port))
        if early:
            self.sock.sendall(early)
        self.buf = b""
        if greeting:
            self.greeting = self.reply()

    def say(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")

    def line(self):
        while b"\n" not in self.buf:
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionError(f"closed after {self.buf!r}")
            self.buf += got
        line, self.buf = self.buf.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def reply(self):
        """One whole reply: (code, [lines])."""
        lines = []
        while True:
            line = self.line()
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines

    def ask(self, command):
        self.say(command)
        return self.reply()

    def starttls(self, context=None):
        assert self.ask("STARTTLS")[0] == 220
        assert self.buf == b""
        self.sock = (context or unverified()).wrap_socket(self.sock, server_hostname="mail.office.example")

    def closed(self, timeout=60):
        """True if the peer ends the connection within timeout."""
        self.sock.settimeout(timeout)
        try:
            while True:
                got = self.sock.recv(65536)
                if not got:
                    return True
                self.buf += got
        except socket.timeout:
            return False
        except OSError:
            return True

    def close(self):
        self.sock.close()
