#!/usr/bin/python3
"""A mail server that takes everything and keeps nothing, with STARTTLS where a certificate is given, for measurements: it answers 250 after
the dot and counts. Prints the count of mails, connections and handshakes as JSON whenever it reads a line.

usage: sink.py ADDRESS PORT HOST [CERTIFICATE]
"""

import asyncio
import json
import ssl
import sys


class Sink:
    def __init__(self, host, certificate):
        self.host, self.context = host, None
        self.count = {"mails": 0, "connections": 0, "handshakes": 0}
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)

    async def session(self, reader, writer):
        self.count["connections"] += 1
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def talk(self, reader, writer):
        writer.write(f"220 {self.host} ESMTP\r\n".encode())
        secure = False
        while True:
            words = (await reader.readline()).upper().split()
            verb = words[0] if words else b"QUIT"
            if verb == b"EHLO":
                offers = [] if secure or self.context is None else ["STARTTLS"]
                lines = [self.host, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", *offers]
                writer.write("".join(f"250{'-' if i + 1 < len(lines) else ' '}{line}\r\n" for i, line in enumerate(lines)).encode())
            elif verb == b"STARTTLS" and self.context is not None and not secure:
                writer.write(b"220 2.0.0 go\r\n")
                await writer.start_tls(self.context)
                secure = True
                self.count["handshakes"] += 1
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.count["mails"] += 1
                writer.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"250 2.0.0 ok\r\n")
            await writer.drain()


async def main(address, port, host, certificate=None):
    sink = Sink(host, certificate)
    server = await asyncio.start_server(sink.session, address, int(port), limit=1 << 20, backlog=200)
    print("ready", flush=True)
    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while await asked.readline():
        print(json.dumps(sink.count), flush=True)
    server.close()


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
