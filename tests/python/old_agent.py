"""An agent of the system that this one replaces, on the client library that it really uses.

Takes orders as JSON lines on stdin and tells what happens as JSON lines on stdout; `tests/src/old_agent.rs` is the
other end. Ends with its stdin.
"""

import base64
import json
import os
import sys
import threading

import socketio

WRITING = threading.Lock()


def tell(what, **more):
    with WRITING:
        sys.stdout.write(json.dumps({"told": what, **more}) + "\n")
        sys.stdout.flush()


class Agent:
    """Takes operations on as its mood is, and sends results when it is told to."""

    def __init__(self, comes_back):
        # It comes back within a second, in a test as in the field.
        self.client = socketio.Client(reconnection=comes_back, reconnection_delay=0.5, randomization_factor=0.25)
        self.mood = "take"
        self.client.on("connect", lambda: tell("connected"))
        self.client.on("disconnect", lambda: tell("disconnected"))
        self.client.on("connect_error", lambda *why: tell("refused", why=[str(one) for one in why]))
        for kind in ("traceroute", "ping", "dns"):
            self.client.on(kind, self.handler(kind))

    def handler(self, kind):
        def handle(argument):
            tell("operation", kind=kind, argument=argument)
            if self.mood == "fail":
                raise ValueError("this agent cannot read what it was sent")
            if self.mood == "hang":
                threading.Event().wait()
            if self.mood == "take":
                self.count("new_operation", argument["credits"])

        return handle

    def connect(self, url, total, in_use):
        headers = {"total_credits": str(total), "in_use_credits": str(in_use)}
        try:
            self.client.connect(url, headers=headers, transports="websocket")
        except socketio.exceptions.ConnectionError:
            pass  # the handler has told

    def count(self, event, credits):
        self.client.emit(event, {"credits": credits})

    def send(self, operation, code, format, content):
        def acknowledged(*arguments):
            tell("acknowledged", code=code, arguments=list(arguments))

        result = {
            "operation_id": operation,
            "content": base64.b64decode(content),
            "unique_code": code,
            "format": format,
        }
        self.client.emit("results", result, callback=acknowledged)


def main():
    agent = None
    for line in sys.stdin:
        order = json.loads(line)
        what = order.pop("do")
        if what == "begin":
            agent = Agent(order["comes_back"])
            tell("begun", library=socketio.__version__)
        elif what == "connect":
            agent.connect(**order)
        elif what == "mood":
            agent.mood = order["mood"]
        elif what == "send":
            # In one thread, as fast as it goes.
            for result in order["results"]:
                agent.send(**result)
        elif what == "count":
            agent.count(**order)
        elif what == "leave":
            agent.client.disconnect()
        else:
            raise ValueError(what)


if __name__ == "__main__":
    try:
        main()
    finally:
        # Threads of the library may wait for long.
        sys.stdout.flush()
        os._exit(0)
