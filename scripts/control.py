# SPDX-License-Identifier: Apache-2.0
"""
control.py: the program's side of the control channel (docs/control.md).

    emulator's COM2 <--> Control <--> build/control <--> any number of clients: ./run ctl, ./run top
                            |
                            +--> control.jsonl in the run's folder: every line received

Control owns the emulator's end of the serial line: a unix socket of QEMU, a pseudo-terminal of
Bochs. One thread reads it, always, so that the machine's replies do not pile up; it routes replies
by id, to the client that sent the request or to request() of the same program. Requests of clients
get ids of Control's own meanwhile.
"""
import collections
import contextlib
import json
import os
import select
import shutil
import socket
import tempfile
import termios
import threading
import time
import tty

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOCKET = os.path.join(ROOT, "build", "control")
LINE_MAX = 1 << 16
# Bytes that the port holds; more follow when the machine has read them, or after some seconds.
PIECE = 16
PIECE_SECONDS = 2
# Bytes that wait for a client that does not read; then it is dropped.
CLIENT_BACKLOG = 1 << 22


class ControlError(Exception):
    """The request failed; the text gives the reason."""


class ControlBusy(ControlError):
    """No answer in time; a later request may get one."""


@contextlib.contextmanager
def short_path(path):
    """A path of a unix socket has at most 107 bytes: one below /proc names any folder."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def request_of(words):
    """A request from words of a command line: {"cmd", "args"}."""
    return {"cmd": words[0], "args": list(words[1:])}


class Lines:
    """Cuts a stream into lines; one longer than LINE_MAX is dropped."""

    def __init__(self):
        self.rest = b""

    def add(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > LINE_MAX:
            self.rest = b""
        return [line.strip() for line in lines]


class Client:
    """A connection to build/control."""

    def __init__(self, connection):
        self.socket = connection
        self.lines = Lines()
        self.out = b""
        connection.setblocking(False)

    def send(self, line):
        """Queues a line; False: the client does not read."""
        self.out += line + b"\n"
        return len(self.out) <= CLIENT_BACKLOG


class Waiter:
    """A request of this program: its replies as they come."""

    def __init__(self):
        self.done = threading.Event()
        self.result = {}
        self.error = None

    def reply(self, message):
        if not message.get("ok"):
            self.error = message.get("error", "failed")
        else:
            self.result.update(message.get("result", {}))
        if not message.get("more"):
            self.done.set()


class Control:
    """
    The channel of one run. `events` are the messages without an id, in their order; start() begins
    to serve, stop() ends it.
    """

    def __init__(self, folder, serve=SOCKET):
        self.folder = os.path.abspath(folder)
        self.serve = serve
        self._private = tempfile.mkdtemp(prefix="samepage-control-")
        self.path = os.path.join(self._private, "com2")
        self.events = []
        self.started = threading.Event()	# the machine said that it listens
        self.ended = threading.Event()		# nothing more comes
        self._lock = threading.Lock()
        self._routes = {}			# id -> (Client, its id) or Waiter
        self._next = 0
        self._pieces = collections.deque()	# of requests
        self._wait_until = 0			# before the next piece
        self._clients = {}
        self._wake, self._woken = os.pipe()
        self._line = None			# the file descriptor of the serial line
        self._listener = None
        self._thread = None
        self._terminal = None
        self._stopping = False
        os.set_blocking(self._woken, False)
        self._log = open(os.path.join(self.folder, "control.jsonl"), "ab", buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def qemu_arguments(self):
        """After those of COM1: the second -serial is COM2. QEMU connects when it starts."""
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line.bind(self.path)
        self._line.listen(1)
        return ["-chardev", f"socket,id=control,path={self.path}", "-serial", "chardev:control"]

    def bochs_lines(self):
        """For bochsrc. The pseudo-terminal is open from now on."""
        self._line, terminal = os.openpty()
        tty.setraw(terminal, termios.TCSANOW)
        self._terminal = terminal
        return f"com2: enabled=1, mode=term, dev={os.ttyname(terminal)}\n"

    def start(self, timeout=10, running=lambda: True):
        """
        Takes the emulator's connection, which runs by now, and begins to serve clients. An emulator
        that is not running() any more is not waited for.
        """
        if isinstance(self._line, socket.socket):
            self._line = self._accept(self._line, timeout, running)
        os.set_blocking(self._line, False)
        self._listen()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    @staticmethod
    def _accept(listener, timeout, running):
        until = time.monotonic() + timeout
        listener.settimeout(0.2)
        with listener:
            while time.monotonic() < until and running():
                with contextlib.suppress(TimeoutError):
                    return listener.accept()[0].detach()
        raise ControlError("the emulator does not open the control channel")

    def _listen(self):
        """The latest run has the socket of the tree; an older one goes on without."""
        if not self.serve:
            return
        with contextlib.suppress(OSError), short_path(self.serve) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(path)
            listener.listen()
            listener.setblocking(False)
            self._listener = listener
            self._identity = os.stat(path).st_ino

    def request(self, command, *args, timeout=10):
        """The result of a command, as one object. ControlError."""
        waiter = Waiter()
        message = {"cmd": command, "args": [str(arg) for arg in args]}
        with self._lock:
            number = self._route(waiter, message)
        self._kick()
        if not waiter.done.wait(timeout):
            with self._lock:
                self._routes.pop(number, None)
            raise ControlError(f"{command}: no answer within {timeout:g} s")
        if waiter.error:
            raise ControlError(waiter.error)
        return waiter.result

    def stop(self):
        """Reads what is left, and ends. The emulator has ended, or is about to."""
        if self._thread:
            self._stopping = True
            self._kick()
            self._thread.join()
            self._thread = None
        self._close()

    def _close(self):
        if isinstance(self._line, socket.socket):
            self._line = self._line.close()
        for descriptor in (self._line, self._terminal, self._wake, self._woken):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._line = self._terminal = self._wake = self._woken = None
        self._log.close()
        for client in self._clients.values():
            client.socket.close()
        self._clients = {}
        if self._listener:
            self._listener.close()
            with contextlib.suppress(OSError), short_path(self.serve) as path:
                if os.stat(path).st_ino == self._identity:
                    os.unlink(path)
            self._listener = None
        shutil.rmtree(self._private, ignore_errors=True)

    # --- the thread -------------------------------------------------------------------------------

    def _kick(self):
        with contextlib.suppress(BlockingIOError, TypeError, OSError):
            os.write(self._woken, b"x")

    def _route(self, target, message):
        """Sends a request under an id of its own. The lock is held."""
        self._next += 1
        self._routes[self._next] = target
        line = json.dumps({"id": self._next, **message}).encode() + b"\n"
        self._pieces += [line[at:at + PIECE] for at in range(0, len(line), PIECE)]
        return self._next

    def _run(self):
        lines, until = Lines(), None
        while True:
            if self._stopping and until is None:
                until = time.monotonic() + 1
            if not self._turn(lines, 0.05 if self._stopping else None) and self._stopping:
                break
            if until is not None and time.monotonic() > until:
                break
        self._fail_requests()
        self.ended.set()

    def _fail_requests(self):
        """Of those without an answer."""
        with self._lock:
            routes, self._routes = self._routes, {}
        for target in routes.values():
            message = {"v": 1, "ok": False, "error": "the machine has ended"}
            if isinstance(target, Waiter):
                target.reply(message)
                continue
            client, number = target
            self._send(client, {**message, "id": number})
            with contextlib.suppress(OSError):
                client.socket.send(client.out)

    def _may_send(self):
        """
        Whether a piece can go out now, and else after how many seconds: not before the machine
        listens, and not before it has read the last one.
        """
        if not self._pieces or self._line is None or not self.started.is_set():
            return False, None
        wait = self._wait_until - time.monotonic()
        return wait <= 0, max(wait, 0)

    def _turn(self, lines, timeout):
        """Waits for something to do and does it; False: there was nothing within the timeout."""
        clients = list(self._clients)
        reading = [self._wake, *clients, *([self._line] if self._line is not None else []),
                   *([self._listener] if self._listener else [])]
        writing = [each for each in clients if self._clients[each].out]
        with self._lock:
            sends, wait = self._may_send()
        if sends:
            writing.append(self._line)
        elif wait is not None and timeout is None:
            timeout = wait
        readable, writable, _ = select.select(reading, writing, [], timeout)
        for each in readable:
            self._read(each, lines)
        for each in writable:
            self._write(each)
        return bool(readable or writable)

    def _read(self, each, lines):
        if each == self._wake:
            os.read(self._wake, 4096)
        elif each is self._listener:
            with contextlib.suppress(OSError):
                client = Client(self._listener.accept()[0])
                self._clients[client.socket] = client
        elif each == self._line:
            self._read_machine(lines)
        elif each in self._clients:
            self._read_client(self._clients[each])

    def _read_machine(self, lines):
        try:
            data = os.read(self._line, 65536)
        except BlockingIOError:
            return
        except OSError:				# the other end of a pseudo-terminal is closed
            data = b""
        if not data:
            os.close(self._line)
            self._line = None
            self._stopping = True
            return
        for line in lines.add(data):
            self._message(line)

    def _message(self, line):
        if not line:				# the machine has read a piece
            self._wait_until = 0
            return
        self._log.write(line + b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            return
        if "event" in message:
            self.events.append(message)
            if message["event"] == "start" and not message.get("more"):
                self.started.set()
            for client in list(self._clients.values()):
                self._send(client, message)
            return
        self._wait_until = 0
        with self._lock:
            target = self._routes.get(message.get("id"))
            if not message.get("more"):
                self._routes.pop(message.get("id"), None)
        if isinstance(target, Waiter):
            target.reply(message)
        elif target:
            client, number = target
            self._send(client, {**message, "id": number})

    def _send(self, client, message):
        if not client.send(json.dumps(message).encode()):
            self._drop(client)

    def _drop(self, client):
        self._clients.pop(client.socket, None)
        client.socket.close()

    def _read_client(self, client):
        try:
            data = client.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        for line in client.lines.add(data):
            if line:
                self._client_line(client, line.decode("ascii", "replace"))

    def _client_line(self, client, line):
        number = 0
        try:
            message = json.loads(line) if line.startswith("{") else request_of(line.split())
            number = message.pop("id", 0)
        except (ValueError, AttributeError) as error:
            self._send(client, {"v": 1, "id": number, "ok": False, "error": f"not JSON: {error}"})
            return
        with self._lock:
            self._route((client, number), message)

    def _write(self, each):
        if each == self._line:
            with self._lock, contextlib.suppress(OSError):
                os.write(self._line, self._pieces.popleft())
                self._wait_until = time.monotonic() + PIECE_SECONDS
        elif each in self._clients:
            client = self._clients[each]
            try:
                client.out = client.out[client.socket.send(client.out):]
            except BlockingIOError:
                pass
            except OSError:
                self._drop(client)


# --- a client -----------------------------------------------------------------------------------


class Connection:
    """A client of build/control: requests to the machine that runs now."""

    def __init__(self, path=SOCKET, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.lines = Lines()
        self.number = 0
        self.queue = []
        try:
            with short_path(path) as short:
                self.socket.connect(short)
        except OSError:
            raise ControlError("no machine runs: ./run starts one") from None

    def messages(self):
        """What comes, message by message. ControlError after the timeout, or at the end."""
        while True:
            while self.queue:
                yield self.queue.pop(0)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise ControlBusy("no answer: the machine is busy or has stopped") from None
            if not data:
                raise ControlError("the machine has ended")
            self.queue += [json.loads(line) for line in self.lines.add(data) if line]

    def request(self, command, *args):
        """The result of a command, as one object. ControlError."""
        self.number += 1
        request = {"id": self.number, "cmd": command, "args": list(args)}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        result = {}
        for message in self.messages():
            if message.get("id") != self.number:
                continue
            if not message["ok"]:
                raise ControlError(message["error"])
            result.update(message["result"])
            if not message.get("more"):
                return result
        return result

    def close(self):
        self.socket.close()
