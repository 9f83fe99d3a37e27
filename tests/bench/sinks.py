#!/usr/bin/python3
"""Many mail servers in one process, some of which misbehave, for measurements of fairness. Reads JSON, a line each: first the list of servers,
[address, host, kind] each, then commands, and answers each with a line.

kinds: live; refuse and gone (nobody listens there; of the second not even the address exists); tarpit (takes the connection and says nothing);
421, 451, 450 (so much for the greeting, for MAIL, for RCPT). Every CUT_EVERY-th connection to live servers is cut, at another step each time.

commands: "count"; "heal": all of them are live from now on, and none is cut; "arrivals": [subject, seconds, server's kind] of each mail.

usage: sinks.py CUT_EVERY        (0: none)
"""

import asyncio
import itertools
import json
import sys
import time

CUTS = ["greeting", "MAIL", "DATA", "END", "ANSWER"]  # END: before the dot is read; ANSWER: it has the mail, and says nothing
REFUSALS = {"421": ("greeting", b"421 4.3.2 too busy\r\n"), "451": ("MAIL", b"451 4.3.0 not now\r\n"), "450": ("RCPT", b"450 4.2.0 later\r\n")}


class Cut(Exception):
    pass


class Servers:
    def __init__(self, servers, cut_every):
        self.servers, self.cut_every, self.healed = servers, cut_every, False
        self.live_connections, self.cuts, self.cut_steps = 0, 0, itertools.cycle(CUTS)
        self.arrivals, self.waiting = [], set()

    async def listen(self, kinds):
        for address, host, kind in self.servers:
            if kind in kinds:
                await asyncio.start_server(lambda r, w, h=host, k=kind: self.session(r, w, h, k), address, 25, limit=1 << 20, backlog=200)

    async def heal(self):
        self.healed = True
        for writer in self.waiting:
            writer.transport.abort()
        await self.listen(("refuse", "gone"))

    def cut_of(self, kind):
        if kind != "live" or self.healed or not self.cut_every:
            return None
        self.live_connections += 1
        return next(self.cut_steps) if self.live_connections % self.cut_every == 0 else None

    async def session(self, reader, writer, host, kind):
        try:
            if kind == "tarpit" and not self.healed:
                self.waiting.add(writer)
                await reader.read()
            else:
                await self.talk(reader, writer, host, kind, self.cut_of(kind), REFUSALS.get(kind, (None, None)))
        except Cut:
            self.cuts += 1
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.waiting.discard(writer)
            writer.close()

    async def talk(self, reader, writer, host, kind, cut, refusal):
        async def reply(step, text):
            if step == cut:
                raise Cut
            refused = step == refusal[0] and not self.healed
            writer.write(refusal[1] if refused else text)
            await writer.drain()
            return not refused

        welcome = False
        await reply("greeting", f"220 {host} ESMTP\r\n".encode())
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                await reply(verb, f"250-{host}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n".encode())
            elif verb == b"MAIL":
                welcome = await reply("MAIL", b"250 2.1.0 ok\r\n")
            elif verb == b"RCPT":
                welcome = await reply("RCPT", b"250 2.1.5 ok\r\n" if welcome else b"503 5.5.1 no sender\r\n") and welcome
            elif verb == b"DATA" and not welcome:
                await reply("no DATA", b"554 5.5.1 no recipients\r\n")
            elif verb == b"DATA":
                await reply("DATA", b"354 go\r\n")
                if cut == "END":
                    raise Cut
                mail = await reader.readuntil(b"\r\n.\r\n")
                self.arrivals.append((mail.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode(), time.monotonic(), kind))
                await reply("ANSWER", b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            else:
                await reply(verb.decode(), b"250 2.0.0 ok\r\n")

    def count(self):
        subjects = {kind: {a[0] for a in self.arrivals if (a[2] == "live") == (kind == "live")} for kind in ("live", "dead")}
        return {"live": len(subjects["live"]), "dead": len(subjects["dead"]), "copies": len(self.arrivals), "cuts": self.cuts}


async def main(cut_every):
    loop, asked = asyncio.get_running_loop(), asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    servers = Servers(json.loads(await asked.readline()), cut_every)
    await servers.listen({kind for _, _, kind in servers.servers} - {"refuse", "gone"})
    print("ready", flush=True)
    while command := await asked.readline():
        command = json.loads(command)
        if command == "heal":
            await servers.heal()
        print(json.dumps(servers.arrivals if command == "arrivals" else servers.count()), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    asyncio.run(main(int(sys.argv[1])))
