#!/usr/bin/python3
"""A mail client for measurements: COUNT mails of BYTES over so many sessions at a time, EACH of them on a connection; with "tls", after STARTTLS.
With a COUNT of mails on a connection of 0 it connects, says EHLO (and STARTTLS) and QUIT, COUNT times. Anything but 2xx ends it.

usage: source.py ADDRESS plain|tls SESSIONS COUNT EACH BYTES SENDER RECIPIENT
"""

import smtplib
import ssl
import sys
import threading


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


class Source:
    def __init__(self, address, tls, count, each, size, sender, recipient):
        self.address, self.context, self.each = address, context() if tls else None, each
        self.left, self.lock, self.failed = count, threading.Lock(), None
        self.sender, self.recipient = sender, recipient
        head = f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: measured\r\nMessage-ID: <measured@sender.example>\r\n\r\n"
        self.body = (head + ("x" * 70 + "\r\n") * ((size - len(head)) // 72 + 1)).encode()

    def take(self):
        """How many mails the next connection shall carry; None at the end."""
        with self.lock:
            if self.left <= 0 or self.failed:
                return None
            n = min(max(self.each, 1), self.left)
            self.left -= n
            return n

    def connection(self, mails):
        with smtplib.SMTP(self.address, 25, local_hostname="client.example", timeout=60) as s:
            s.ehlo()
            if self.context:
                s.starttls(context=self.context)
                s.ehlo()
            for _ in range(mails if self.each else 0):
                self.send(s)

    def send(self, client):
        client.sendmail(self.sender, [self.recipient], self.body)

    def worker(self):
        try:
            while (mails := self.take()) is not None:
                self.connection(mails)
        except Exception as e:  # told by the main thread
            self.failed = e

    def run(self, sessions):
        threads = [threading.Thread(target=self.worker) for _ in range(sessions)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if self.failed:
            sys.exit(f"source: {self.failed!r}")


if __name__ == "__main__":
    if len(sys.argv) != 9:
        sys.exit(__doc__)
    ADDRESS, WAY, SESSIONS, COUNT, EACH, BYTES, SENDER, RECIPIENT = sys.argv[1:]
    Source(ADDRESS, WAY == "tls", int(COUNT), int(EACH), int(BYTES), SENDER, RECIPIENT).run(int(SESSIONS))
