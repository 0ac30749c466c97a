"""A resolver outside the cluster, and a program that asks questions; run inside namespaces.

resolver.py serve ADDRESS           knows example.org; silent.example.org is never answered;
                                    large.example.org does not fit into UDP
resolver.py ask SERVER udp|tcp TYPE NAME...      prints one line for each
"""

import contextlib
import socket
import sys
import threading
import time

import dnslib


def serve(address):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    tcp = socket.create_server((address, 53))
    threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
    print("serving", flush=True)
    while True:
        packet, client = udp.recvfrom(4096)
        query = dnslib.DNSRecord.parse(packet)
        if not str(query.q.qname).startswith("silent"):
            udp.sendto(answer(query, udp=True).pack(), client)


def serve_tcp(listener):
    while True:
        connection, _ = listener.accept()
        length = int.from_bytes(connection.recv(2), "big")
        packed = answer(dnslib.DNSRecord.parse(connection.recv(length)), udp=False).pack()
        connection.sendall(len(packed).to_bytes(2, "big") + packed)
        connection.close()


def answer(query, *, udp):
    name = str(query.q.qname).lower()
    reply = query.reply()
    if name == "large.example.org.":
        reply.header.tc = int(udp)
        for n in range(0 if udp else 100):
            reply.add_answer(dnslib.RR(name, rdata=dnslib.A(f"192.0.2.{n}"), ttl=60))
    elif name == "example.org.":
        reply.add_answer(dnslib.RR(name, rdata=dnslib.A("192.0.2.1"), ttl=60))
    else:
        reply.header.rcode = 3
    return reply


def ask(server, protocol, type_, *names):
    for name in names:
        started = time.monotonic()
        query = dnslib.DNSRecord.question(name, type_)
        try:
            packet = query.send(server, tcp=protocol == "tcp", timeout=8)
        except OSError as failure:
            print(type(failure).__name__)
            continue
        reply = dnslib.DNSRecord.parse(packet)
        words = [dnslib.RCODE[reply.header.rcode], *(["TC"] * reply.header.tc)]
        words += sorted(str(record.rdata) for record in reply.rr)
        print(" ".join(words), f"{time.monotonic() - started:.2f}s", sep="|")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
