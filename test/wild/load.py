#!/usr/bin/env python3
"""Clients of a server under test: each opens a connection, asks a few times on it, closes it, opens the next.
Nothing is tried again: what is refused, cut, late or wrong is a failure.

    load.py http|memcached|redis PORT [--never-close]     until the end of stdin; prints one line; exit 1 on failures
"""
import argparse
import collections
import socket
import sys
import threading
import time

CLIENTS, REQUESTS, PAUSE, LIMIT = 6, 10, 0.005, 10


class Wrong(Exception):
    pass


class Client:
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


def http(client, number):
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", number)
    client.expect(client.line(), b"HTTP/1.1 200 OK")
    size = None
    while header := client.line():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    client.expect(client.exactly(size), b"It works.\n")


# What is stored belongs to one process: another worker, or the next one, does not know it. Then nothing is found, which
# is right; a wrong value is not.
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
    client.send(b"*3\r\n$3\r\nSET\r\n$5\r\nkey%02d\r\n$%d\r\n%s\r\n" % (number % 50, len(value), value), number)
    client.expect(client.line(), b"+OK")
    client.send(b"*2\r\n$3\r\nGET\r\n$5\r\nkey%02d\r\n" % (number % 50), number + 5)
    line = client.line()
    if line != b"$-1":
        found = client.exactly(int(line[1:]) + 2)
        if int(found) % 50 != number % 50:
            raise Wrong("value %r" % found)


class Load:
    def __init__(self, ask, port, never_close):
        self.ask, self.port, self.never_close = ask, port, never_close
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.requests = self.connections = 0
        self.failures = collections.Counter()

    def session(self, number):
        client = Client(self.port)
        with self.lock:
            self.connections += 1
        try:
            asked = 0
            while not self.stop.is_set() and (self.never_close or asked < REQUESTS):
                self.ask(client, number + asked)
                asked += 1
                with self.lock:
                    self.requests += 1
                time.sleep(PAUSE * (5 if self.never_close else 1))
            return asked
        finally:
            client.close()

    def run(self):
        number = 0
        while not self.stop.is_set():
            try:
                number += self.session(number)
            except (OSError, ValueError, TypeError, Wrong) as failure:
                with self.lock:
                    self.failures[repr(failure)] += 1
                number += 1

    def wait_for_server(self):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                return Client(self.port).close()
            except OSError:
                time.sleep(0.05)
        sys.exit("nobody listens on port %d" % self.port)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=("http", "memcached", "redis"))
    parser.add_argument("port", type=int)
    parser.add_argument("--never-close", action="store_true")
    words = parser.parse_args()
    load = Load(globals()[words.protocol], words.port, words.never_close)
    load.wait_for_server()
    threads = [threading.Thread(target=load.run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    load.stop.set()
    for thread in threads:
        thread.join()
    failed = sum(load.failures.values())
    print("%d requests on %d connections, %d failed" % (load.requests, load.connections, failed), end="")
    for what, count in load.failures.most_common(5):
        print("\n  %d times: %s" % (count, what), end="")
    sys.exit(failed > 0 or load.requests == 0)


main()
