"""The peer that sets the limit: bare asyncio, `transport.write` in a loop, and nothing else.

python -m benchmarks.peers.bare 8900 [--uvloop]
"""

import asyncio
import sys

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"

streams: set[asyncio.Transport] = set()


class Connection(asyncio.Protocol):
    """A stream, or the sender, who may send the next POST before the last was answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.rest = transport, b""

    def connection_lost(self, error: Exception | None) -> None:
        streams.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while b"\r\n\r\n" in self.rest:
            head, _, rest = self.rest.partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                self.rest = rest
                self.transport.write(HEAD)
                streams.add(self.transport)
                continue
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            self.rest = rest[length:]
            event = b"data: " + rest[:length] + b"\n\n"
            for stream in streams:
                stream.write(event)
            self.transport.write(DONE)


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    if "--uvloop" in sys.argv:
        import uvloop

        uvloop.run(main(int(sys.argv[1])))
    else:
        asyncio.run(main(int(sys.argv[1])))
