#!/usr/bin/env python3
"""Writes the page of outcomes (docs/programs.md) from what test/wild/programs/run has recorded.

    table.py ROUNDS UPGRADES <RESULTS >PAGE

A line of RESULTS has, separated by tabs: the recipe's name, the program's version, ok, FAILED or "left out",
and what was printed.
"""
import datetime
import os
import pathlib
import platform
import re
import sys

RECIPES = pathlib.Path(__file__).parent / "recipes"
PAGE = """# Programs and scripts as they are

This page lists programs and scripts that were upgraded as they are installed, and the outcome. The command
`test/wild/programs/run --rounds {rounds} --table docs/programs.md` wrote it; the recipes are in
[`test/wild/programs/recipes`](../test/wild/programs/recipes).

Each program ran as two workers (`--forks 2`) and was upgraded {upgrades} times, in {times}. Meanwhile six
clients sent requests, ten on each connection if the server allows that, and repeated none: each request that
was refused, cut, late or wrongly answered counts as failed. Only a datagram may be sent again, as resolvers
do. Where the protocol is HTTP with keep-alive, two of the clients never close their connection: the column
*kept* has the number of connections that these two have opened, which is {ideal} if all stay open over all
upgrades. A server that itself announces the end of a connection makes it more.
{date}, {machine}.

| program | version | requests | connections | kept | failed | upgrades | outcome |
|---|---|---|---|---|---|---|---|
{rows}

{summary}
"""


def remarks(name):
    """The comment lines at the recipe's top."""
    lines = []
    for line in (RECIPES / name).read_text().splitlines():
        if not line.startswith("# "):
            break
        lines.append(line[2:])
    return " ".join(lines).rstrip(".").replace("|", "\\|")


class Program:
    def __init__(self, name):
        self.name, self.version, self.reason = name, "", ""
        self.requests = self.connections = self.kept = self.failed = self.repeated = self.upgrades = 0
        self.words = []

    def add(self, version, word, text):
        self.version = version or self.version
        self.words.append(word)
        number = dict((what, int(count)) for count, what in
                      re.findall(r"(\d+) (requests|connections|failed|kept|datagrams|upgrades)\b", text))
        self.requests += number.get("requests", 0)
        self.connections += number.get("connections", 0)
        self.failed += number.get("failed", 0)
        self.kept += number.get("kept", 0)
        self.repeated += number.get("datagrams", 0)
        self.upgrades += number.get("upgrades", 0)
        if word != "ok" and not self.reason:
            self.reason = text[:300].strip().replace("|", "\\|")

    def outcome(self):
        text = "ok"
        if set(self.words) != {"ok"}:
            text = "**%s** in %d of %d: %s" % (
                "failed" if "FAILED" in self.words else "left out",
                sum(word != "ok" for word in self.words), len(self.words), self.reason)
        if self.repeated:
            text += "; %d datagrams sent again" % self.repeated
        return "; ".join(part for part in (text, remarks(self.name)) if part)

    def row(self):
        requests, connections = format(self.requests, ","), format(self.connections, ",")
        return "| %s | %s | %s | %s | %s | %d | %d | %s |" % (
            self.name, self.version, requests, connections, self.kept or "", self.failed, self.upgrades,
            self.outcome())


def system():
    names = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    name = names["PRETTY_NAME"].strip('"')
    return "%s, Linux %s, %d processors" % (name, platform.release(), os.cpu_count())


def main():
    rounds, upgrades = map(int, sys.argv[1:])
    programs = {}
    for line in sys.stdin:
        name, version, word, text = line.rstrip("\n").split("\t")
        programs.setdefault(name, Program(name)).add(version, word, text)
    good = sum(set(program.words) == {"ok"} for program in programs.values())
    print(PAGE.format(
        rounds=rounds, ideal=2 * rounds, upgrades=upgrades,
        times="one round" if rounds == 1 else "each of %d rounds" % rounds,
        date=datetime.date.today().isoformat(), machine=system(),
        rows="\n".join(program.row() for program in programs.values()),
        summary="%d programs, %d ok; %s requests, %s failed." % (
            len(programs), good, format(sum(program.requests for program in programs.values()), ","),
            format(sum(program.failed for program in programs.values()), ","))), end="")


main()
