"""Stands before a service and speaks TLS: `tls_front.py CERTIFICATE KEY HOST:PORT` prints its own port, and passes on.

Ends with its standard input.
"""

import socket
import ssl
import sys
import threading

certificate, key, service = sys.argv[1:]
host, port = service.rsplit(":", 1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def passed(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass  # either end went away
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def met(plain):
    try:
        near = context.wrap_socket(plain, server_side=True)
    except (ssl.SSLError, OSError):
        return  # it does not trust us
    far = socket.create_connection((host, int(port)))
    for ends in ((near, far), (far, near)):
        threading.Thread(target=passed, args=ends, daemon=True).start()


def listen(door):
    while True:
        plain, _ = door.accept()
        threading.Thread(target=met, args=(plain,), daemon=True).start()


door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
threading.Thread(target=listen, args=(door,), daemon=True).start()
sys.stdin.read()
