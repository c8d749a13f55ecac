#!/usr/bin/env python3
"""Clients of a server under test: each opens a connection, sends some requests on it, closes it, then opens
the next. No request is repeated: a request that is refused, cut, late or wrongly answered is a failure. Only
a datagram (dns) may get lost; the client repeats it, as resolvers do, and the printed line has the number of
repetitions.

    load.py PROTOCOL PORT [--kept N]      N of the six clients never close their connection

http, https, proxy, proxy-close, websocket, memcached, redis, mqtt, dns, dns-tcp, stun.

`proxy` asks for the URL in the variable WILD_URL.

Runs until the end of stdin, and prints one line: `N kept` is the number of connections that the clients which
close none have opened. Exit status 1: there were failures.
"""
import argparse
import collections
import os
import socket
import ssl
import sys
import threading
import time

CLIENTS, REQUESTS, PAUSE, LIMIT = 6, 10, 0.005, 10
DATAGRAM_LIMIT, DATAGRAM_ATTEMPTS = 0.5, 5


class Wrong(Exception):
    pass


class Client:
    is_over = False  # the server has said that it closes the connection

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = self.socket.makefile("rb")

    def send(self, text, number):
        """Every tenth in two halves, as networks do it."""
        if number % 10 == 0:
            self.socket.sendall(text[:7])
            time.sleep(0.005)
            text = text[7:]
        self.socket.sendall(text)

    def line(self):
        line = self.bytes.readline()
        if not line.endswith(b"\r\n"):
            raise Wrong("end of the connection within an answer" if line else "no answer")
        return line[:-2]

    def exactly(self, size):
        text = self.bytes.read(size)
        if len(text) != size:
            raise Wrong("a short answer")
        return text

    def expect(self, found, *wanted):
        if found not in wanted:
            raise Wrong("answer %r" % found[:60])

    def close(self):
        self.socket.close()


class SecureClient(Client):
    """The certificate is a test's, and is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def __init__(self, port):
        super().__init__(port)
        self.bytes.close()
        self.socket = self.context.wrap_socket(self.socket)
        self.bytes = self.socket.makefile("rb")


class MqttClient(Client):
    """MQTT 3.1.1, clean session, keep-alive of 60 s."""
    def __init__(self, port):
        super().__init__(port)
        self.send(b"\x10\x0c\0\4MQTT\4\2\0\x3c\0\0", 1)
        self.expect(self.exactly(4), b"\x20\2\0\0")


class WebSocketClient(Client):
    """A server that returns each message (RFC 6455)."""
    def __init__(self, port):
        super().__init__(port)
        self.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 1)
        self.expect(self.line(), b"HTTP/1.1 101 Switching Protocols")
        while self.line():
            pass


class DatagramClient:
    is_over = False

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(DATAGRAM_LIMIT)
        self.repeated = 0

    def ask(self, question):
        for _ in range(DATAGRAM_ATTEMPTS):
            self.socket.send(question)
            try:
                while (answer := self.socket.recv(512))[:2] != question[:2]:
                    pass
                return answer
            except TimeoutError:
                self.repeated += 1
        raise Wrong("no answer to %d datagrams" % DATAGRAM_ATTEMPTS)

    def close(self):
        self.socket.close()


def dns_question(number):
    """Asks for the address of it.works (RFC 1035), which is 127.0.0.7 as long as nobody else is asked."""
    head = b"%c%c\1\0\0\1\0\0\0\0\0\0" % divmod(number % 65536, 256)
    return head + b"\x02it\x05works\0\0\x01\0\x01"


def dns_check(answer):
    if answer[3] & 15 != 0 or not answer.endswith(b"\0\x04\x7f\0\0\x07"):
        raise Wrong("answer %r" % answer)


def dns(client, number):
    dns_check(client.ask(dns_question(number)))


def dns_tcp(client, number):
    question = dns_question(number)
    client.send(len(question).to_bytes(2, "big") + question, number)
    dns_check(client.exactly(int.from_bytes(client.exactly(2), "big")))


def stun(client, number):
    """A binding request (RFC 8489), answered with the same transaction."""
    transaction = b"\x21\x12\xa4\x42" + number.to_bytes(12, "big")
    client.send(b"\0\1\0\0" + transaction, number)
    head = client.exactly(20)
    client.exactly(int.from_bytes(head[2:4], "big"))
    client.expect(head[:2] + head[4:], b"\1\1" + transaction)


def mqtt(client, number):
    """A message that the broker has to confirm."""
    packet = b"%c%c" % divmod(number % 65535 + 1, 256)
    client.send(b"\x32\x0b\0\5topic" + packet + b"xy", number)
    client.expect(client.exactly(4), b"\x40\2" + packet)


def websocket(client, number):
    """A text of a client is masked; this mask changes nothing."""
    text = b"%d" % number
    client.send(b"\x81%c\0\0\0\0%s" % (0x80 + len(text), text), number)
    client.expect(client.exactly(2 + len(text)), b"\x81%c%s" % (len(text), text))


def http(client, number, url=b"/", headers=b""):
    client.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (url, headers), number)
    first = client.line()
    client.expect(first, b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK")
    client.is_over = first.startswith(b"HTTP/1.0")
    size = None
    while header := client.line():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        if name.lower() == b"connection":
            client.is_over = value.strip().lower() == b"close"
    client.expect(client.exactly(size), b"It works.\n")


def proxy(client, number, headers=b""):
    http(client, number, os.environ["WILD_URL"].encode(), headers)


def proxy_close(client, number):
    """For a proxy that closes each connection and does not say so."""
    proxy(client, number, b"Connection: close\r\n")
    client.is_over = True


# Each process stores values of its own, so another worker may not find a key. That is right; a wrong value is
# a failure.
def memcached(client, number):
    value = b"%d" % number
    client.send(b"set key%d 0 0 %d\r\n%s\r\n" % (number % 50, len(value), value), number)
    client.expect(client.line(), b"STORED")
    client.send(b"get key%d\r\n" % (number % 50), number + 5)
    line = client.line()
    if line != b"END":
        client.expect(line.rpartition(b" ")[0], b"VALUE key%d 0" % (number % 50))
        found = client.exactly(int(line.rpartition(b" ")[2]) + 2)
        if int(found) % 50 != number % 50:
            raise Wrong("value %r" % found)
        client.expect(client.line(), b"END")


def redis(client, number):
    value = b"%d" % number
    set_key = b"*3\r\n$3\r\nSET\r\n$5\r\nkey%02d\r\n$%d\r\n%s\r\n"
    client.send(set_key % (number % 50, len(value), value), number)
    client.expect(client.line(), b"+OK")
    client.send(b"*2\r\n$3\r\nGET\r\n$5\r\nkey%02d\r\n" % (number % 50), number + 5)
    line = client.line()
    if line != b"$-1":
        found = client.exactly(int(line[1:]) + 2)
        if int(found) % 50 != number % 50:
            raise Wrong("value %r" % found)


CLIENT_OF = {"https": SecureClient, "dns": DatagramClient, "mqtt": MqttClient, "websocket": WebSocketClient}
ASK_OF = {"http": http, "https": http, "proxy": proxy, "proxy-close": proxy_close, "websocket": websocket,
          "memcached": memcached, "redis": redis, "mqtt": mqtt, "dns": dns, "dns-tcp": dns_tcp, "stun": stun}


class Load:
    def __init__(self, protocol, port):
        self.ask, self.connect, self.port = ASK_OF[protocol], CLIENT_OF.get(protocol, Client), port
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.requests = self.connections = self.kept = self.repeated = 0
        self.failures = collections.Counter()

    def session(self, number, is_kept):
        client = self.connect(self.port)
        with self.lock:
            self.connections += 1
            self.kept += is_kept
        try:
            asked = 0
            while not self.stop.is_set() and not client.is_over and (is_kept or asked < REQUESTS):
                self.ask(client, number + asked)
                asked += 1
                with self.lock:
                    self.requests += 1
                time.sleep(PAUSE * (5 if is_kept else 1))
            return asked
        finally:
            client.close()
            with self.lock:
                self.repeated += getattr(client, "repeated", 0)

    def run(self, is_kept):
        number = 0
        while not self.stop.is_set():
            try:
                number += self.session(number, is_kept)
            except (OSError, ValueError, TypeError, Wrong) as failure:
                with self.lock:
                    self.failures[repr(failure)] += 1
                number += 1

    def wait_for_server(self):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                client = self.connect(self.port)
                self.ask(client, 0)
                return client.close()
            except (OSError, Wrong):
                time.sleep(0.05)
        sys.exit("nobody listens on port %d" % self.port)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=ASK_OF)
    parser.add_argument("port", type=int)
    parser.add_argument("--kept", type=int, default=0)
    words = parser.parse_args()
    load = Load(words.protocol, words.port)
    load.wait_for_server()
    threads = [threading.Thread(target=load.run, args=(number < words.kept,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    load.stop.set()
    for thread in threads:
        thread.join()
    failed = sum(load.failures.values())
    print("%d requests on %d connections, %d failed" % (load.requests, load.connections, failed), end="")
    if load.kept:
        print(", %d kept" % load.kept, end="")
    if load.repeated:
        print(", %d datagrams repeated" % load.repeated, end="")
    for what, count in load.failures.most_common(5):
        print("\n  %d times: %s" % (count, what), end="")
    sys.exit(failed > 0 or load.requests == 0)


main()
