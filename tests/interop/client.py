"""Drives python-socketio for the integration tests, in the words of client.mjs: JSON lines in and out.

Knows connect, emit and disconnect. Nothing is interpreted here: the tests judge.
"""

import json
import sys
import threading

import socketio

clients = {}
printing = threading.Lock()


def tell(**line):
    with printing:
        print(json.dumps(line), flush=True)


def connect(client, url, options, **_):
    sio = socketio.Client(reconnection_delay=0.02, reconnection_delay_max=0.1)
    clients[client] = sio
    sio.on("connect", lambda: tell(client=client, saw="connect"))
    sio.on("disconnect", lambda reason: tell(client=client, saw="disconnect", reason=reason))
    sio.on("*", lambda event, *args: tell(client=client, saw="event", event=event, args=args))
    sio.connect(url, transports=options.get("transports"), wait_timeout=10, retry=True)


def emit(client, event, args, ack=None, **_):
    answered = ack and (lambda *answer: tell(client=client, saw="ack", ack=ack, args=answer))
    clients[client].emit(event, tuple(args), callback=answered)


def disconnect(client, **_):
    clients[client].disconnect()


COMMANDS = {"connect": connect, "emit": emit, "disconnect": disconnect}

for line in sys.stdin:
    command = json.loads(line)
    COMMANDS[command.pop("op")](**command)
