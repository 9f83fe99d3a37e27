"""A time server that says what it is told to."""

import socket
import struct
import threading

from . import net

FROM_1900 = 2208988800


class Ntp:
    def __init__(self, ip, unix_s, stratum=2):
        """unix_s: what it says, standing still; may be changed while it runs."""
        self.ip, self.unix_s, self.stratum, self.asked = net.address(ip), unix_s, stratum, 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 123))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, peer = self.sock.recvfrom(512)
                if not question:
                    return
                self.asked += 1
                seconds = (self.unix_s + FROM_1900) & 0xFFFFFFFF
                self.sock.sendto(struct.pack(">BBbb12x8s8sLLLL", 0x24, self.stratum, 6, -20, bytes(8), question[40:48], seconds, 0, seconds, 0), peer)
            except OSError:
                return

    def stop(self):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (self.ip, 123))  # wakes the thread
        self.sock.close()
