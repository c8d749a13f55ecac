"""A word with liveswap for Python 3: copy this file beside your application. Without liveswap every function
does nothing, so the application also runs by itself. The protocol: docs/reference/words.md.

    import liveswap
    liveswap.defer_ready()             # before listen(): ready() says when, not the first listener
    liveswap.ready()
    liveswap.on_draining(callback)     # called with the milliseconds that are left; -1: without a limit
    liveswap.on_message(callback)      # called with the text of `liveswap message TEXT`
    liveswap.served(failed=False)      # one request answered
    liveswap.slot, liveswap.generation # numbers; -1 without liveswap

The callbacks run in a thread of this module, which starts with the first on_…(). An event loop can do without
callbacks and the thread: it watches fileno() and calls draining(), which reads what is there, as in
`asyncio.get_running_loop().add_reader(liveswap.fileno(), look)`. If it has work to do then, it calls hold()
at its start and release() after the work. Any thread may call any function.
"""
import atexit
import os
import socket
import struct
import threading
import traceback

SERVED_S = 0.2  # how often the numbers of served() are sent

slot = generation = -1
_socket = None
_lock = threading.RLock()
_callbacks = {"draining": [], "message": []}
_buffer = b""
_draining = False
_served = [0, 0]
_timer = None
_reader = None
_holds = False  # until the callbacks of "draining" have run


def _begin():
    global _socket, slot, generation
    # The descriptor is not for the processes that this one starts.
    words = os.environ.pop("LIVESWAP_WORDS", "").split()
    if len(words) != 3:
        return
    descriptor, slot, generation = map(int, words)
    _socket = socket.socket(fileno=descriptor)
    _socket.setblocking(False)
    atexit.register(_send_served)


def _maker():
    """The process that has made the pair of sockets: the worker."""
    credentials = _socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[0]


def _say(word):
    if _socket is None:
        return
    try:
        _socket.send(word.encode() + b"\n")
    except OSError:
        pass  # the worker host takes no more words: it is about to end


def ready():
    _say("ready")


def defer_ready():
    _say("defer")


def hold():
    """Work that is no connection: the worker stays until release()."""
    _say("hold")


def release():
    _say("release")


def draining():
    poll()
    return _draining


def served(failed=False):
    global _timer
    if _socket is None:
        return
    with _lock:
        _served[0] += 1
        _served[1] += bool(failed)
        if _timer is None:
            _timer = threading.Timer(SERVED_S, _send_served)
            _timer.daemon = True
            _timer.start()


def _send_served():
    global _timer
    with _lock:
        _timer = None
        if _served[0] > 0:
            _say("served %d %d" % tuple(_served))
        _served[:] = [0, 0]


def on_draining(callback):
    """The worker stays until the callback has returned: a worker without connections gets SIGTERM soon."""
    global _holds
    with _lock:
        # Not in forked children of the worker: only one process reads the word.
        if _socket is not None and not _holds and not _draining and os.getpid() == _maker():
            _holds = True
            hold()
    _on("draining", callback)


def on_message(callback):
    _on("message", callback)


def fileno():
    """Readable when poll() has something to do; -1 without liveswap."""
    return -1 if _socket is None else _socket.fileno()


def _on(event, callback):
    global _reader
    with _lock:
        _callbacks[event].append(callback)
        if event == "message":
            _say("messages")  # before that the messages wait in the worker host
        if _socket is not None and _reader is None:
            _reader = threading.Thread(target=_read, name="liveswap", daemon=True)
            _reader.start()


def _read():
    import select
    while True:
        select.select([_socket], [], [])
        if not poll():
            return


def poll():
    """Takes what liveswap has said and calls the callbacks; does not block. False: nothing more will come."""
    global _buffer
    if _socket is None:
        return False
    with _lock:
        try:
            while bytes_read := _socket.recv(65536):
                _buffer += bytes_read
            is_open = False
        except BlockingIOError:
            is_open = True
        except OSError:
            is_open = False
        events = []
        while (event := _take_word()) is not None:
            events.append(event)
    for name, value in events:
        try:
            for callback in list(_callbacks.get(name, ())):
                try:
                    callback(value)
                except Exception:
                    traceback.print_exc()  # the other callbacks and words go on
        finally:
            if name == "draining":
                _end_hold()
    return is_open


def _end_hold():
    global _holds
    with _lock:
        if _holds:
            release()
        _holds = False


def _take_word():
    """Lines "draining MS", and "message BYTES" with so many bytes behind it. None: no whole word is there."""
    global _buffer, _draining
    line, newline, rest = _buffer.partition(b"\n")
    if not newline:
        return None
    word, _, number = line.decode("latin-1").partition(" ")
    if word == "message":
        if len(rest) < int(number):
            return None
        text, _buffer = rest[:int(number)], rest[int(number):]
        return word, text.decode("utf-8", "replace")
    _buffer = rest
    if word == "draining":
        _draining = True
        return word, int(number)
    return word, None


_begin()
