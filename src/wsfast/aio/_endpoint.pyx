# cython: language_level=3, binding=False, embedsignature=False
# cython: freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""Between an event loop's transport and the application: what each chunk and each message goes
through. The documentation is in _endpoint.pyi.

All of it belongs to the thread of the loop; who calls from another gets an error, not a race. So
does the outbox, whose mutex is not taken here.
"""

from collections import deque
from weakref import WeakKeyDictionary

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBuffer_Release
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport uint8_t

from wsfast.protocol.messages import total_size

from wsfast.codec._codec cimport (
    ADDED, AFTER_LARGE, NO_MEMORY, Added, Decoder, Outbox, get_bytes,
)
from wsfast.codec.csrc cimport WSF_BINARY, WSF_TEXT
from wsfast.system._cipher cimport NOTHING_YET, Cipher

cdef extern from "sockets.h" nogil:
    ctypedef int wsfast_socket
    int wsfast_poll(wsfast_socket fd, int write, int milliseconds)
    ptrdiff_t wsfast_send(wsfast_socket fd, const void *data, size_t size)
    double wsfast_now()

cdef extern from *:
    void Py_XDECREF(PyObject *o)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    CHUNK = 256 * 1024   # bytes to receive at once
    HOLD = 4096          # bytes that are sent without giving up the GIL, which takes as long
    BATCH = 128 * 1024   # bytes of a burst that are sent at once best
    HIGH_WATER = 64 * 1024  # bytes that wait to be written from which on senders wait

cdef double GAP = 20e-6
"""Seconds: a send that follows another sooner than that, with nothing received between, is part of
a burst."""

include "inbox.pxi"
include "events.pxi"


@cython.final
cdef class _Room:
    """Where the connections of one loop receive, one after the other: what has arrived is taken out
    of it before the next is received. So an idle connection needs none of its own."""
    cdef bytearray chunk
    cdef object view, short_view
    cdef uint8_t *data
    cdef object create_future, call_soon

    def __cinit__(self, loop):
        self.create_future = loop.create_future
        self.call_soon = loop.call_soon
        self.chunk = bytearray()
        PyByteArray_Resize(self.chunk, CHUNK)
        self.view = memoryview(self.chunk)
        self.short_view = self.view[:AFTER_LARGE]
        self.data = <uint8_t *>PyByteArray_AS_STRING(self.chunk)


rooms = WeakKeyDictionary()


cdef _Room room_of(loop):
    room = rooms.get(loop)
    if room is None:
        room = rooms[loop] = _Room(loop)
    return room


cdef class Wire:
    """What the transport knows of a connection: its protocol, in asyncio's sense."""
    cdef Endpoint endpoint

    def __cinit__(self, Endpoint endpoint not None):
        self.endpoint = endpoint

    def connection_made(self, transport):
        self.endpoint._made(transport)

    def get_buffer(self, hint):
        return self.endpoint.get_buffer()

    def buffer_updated(self, Py_ssize_t size):
        self.endpoint.received(size)

    def eof_received(self):
        return self.endpoint.eof()

    def pause_writing(self):
        self.endpoint.blocked = True

    def resume_writing(self):
        self.endpoint.unblocked()

    def connection_lost(self, error):
        self.endpoint._lost(error)


cdef class Endpoint:
    cdef object __weakref__
    cdef _Room room
    cdef _Inbox inbox
    cdef Decoder decoder
    cdef Outbox outbox
    cdef Cipher cipher           # None unless what is on the wire is encrypted
    cdef object loop, on_message
    cdef object write            # the transport's; None before it is there and after the end
    cdef unsigned long thread
    cdef wsfast_socket fd
    cdef bint direct             # may write to `fd` while the transport has nothing to write
    cdef bint opened             # what comes are frames
    cdef bint in_room            # what comes next is received there
    cdef bint batching           # what is sent leaves when all that has arrived has been delivered
    cdef bint scheduled          # what is sent leaves when the loop comes to it
    cdef bint heard_since        # something was received since the last write
    cdef bint blocked            # the transport has something to write
    cdef bint broken             # nothing can be sent any more
    cdef double sent_at
    cdef size_t in_flight        # bytes that the transport had to write when it was asked last
    cdef size_t max_bytes, high_water
    cdef Py_ssize_t max_frames
    cdef readonly double _heard_at, _message_at
    cdef public object _receiver # the future of who waits for a message
    cdef public bint _shaking    # the TLS handshake is going on
    cdef public bint _deaf       # what comes is not wanted any more
    cdef public bint _ending     # who wants to receive asks for more than the inbox
    cdef public bint _dropping   # what comes is not kept
    cdef public bint _paused     # nothing is received, as the inbox is full
    cdef public bint _relays     # what an application sends as events are messages
    cdef public int _waiting     # senders that wait for room
    cdef public object _turn     # among these

    def __cinit__(self, *args, **kwargs):
        self.fd = <wsfast_socket>-1

    def _set_up(self, loop, Outbox outbox not None, on_message, options):
        self.loop = loop
        self.room = room_of(loop)
        self.outbox = outbox
        self.on_message = on_message
        self.thread = PyThread_get_thread_ident()
        self.in_room = True
        if on_message is None:
            self.inbox = _Inbox()
            self.inbox.max_count = options.receive_queue_messages
            self.inbox.max_size = options.receive_queue_bytes
            self.inbox.drops = options.receive_overflow == "drop_oldest"
        self.max_bytes = options.send_queue_bytes
        self.max_frames = options.send_queue_messages
        self.high_water = min(<size_t>HIGH_WATER, self.max_bytes)

    def _attach(self, write, fd, bint direct):
        self.write = write
        self.fd = <wsfast_socket>-1 if fd is None else <wsfast_socket>fd
        self.direct = direct

    def _encrypt(self, Cipher cipher):
        self.cipher = cipher

    def _open(self, Decoder decoder not None):
        self.decoder = decoder
        self.opened = True
        self._heard_at = self._message_at = wsfast_now()

    def _detach(self):
        self.write = None
        self.direct = False
        self.fd = <wsfast_socket>-1

    # -------------------------------------------------------------- what is asked

    @property
    def _blocked(self):
        return self.blocked

    @property
    def _has_room(self):
        return self.has_room()

    def _fits(self, size_t size):
        return self.fits(size)

    @property
    def _no_queue(self):
        return self.inbox is None

    @property
    def _broken(self):
        return self.broken

    @property
    def _is_open(self):
        return self.opened

    @property
    def _unsent(self):
        """Whether something has not been handed to the system."""
        return self.blocked or self.outbox.size > 0 or self.outbox.pong_waits

    @property
    def _count(self):
        return 0 if self.inbox is None else self.inbox.count

    @property
    def _full(self):
        return self.inbox is not None and self.inbox.full()

    @property
    def _readable(self):
        """Whether bytes have arrived that nobody has received."""
        return self.fd != <wsfast_socket>-1 and wsfast_poll(self.fd, 0, 0) > 0

    def _check_thread(self):
        self.check_thread()

    cdef int check_thread(self) except -1:
        if PyThread_get_thread_ident() != self.thread:
            raise RuntimeError(
                "a connection is used on its event loop's thread only; from another, call "
                "loop.call_soon_threadsafe or asyncio.run_coroutine_threadsafe"
            )
        return 0

    # -------------------------------------------------------------- receiving

    cdef object get_buffer(self):
        cdef object buffer = None
        if self.opened and self.cipher is None:
            buffer = self.decoder.message_buffer()
        self.in_room = buffer is None
        if not self.in_room:
            return buffer
        if self.opened and self.decoder.large:
            return self.room.short_view
        return self.room.view

    cdef int received(self, Py_ssize_t size) except -1:
        cdef list events
        self._heard_at = wsfast_now()
        self.heard_since = True
        if self.cipher is not None:
            self.cipher.feed(PyMemoryView_FromMemory(<char *>self.room.data, size, PyBUF_READ))
            self.decrypt()
        elif not self.opened:
            self._opening((<char *>self.room.data)[:size])
        else:
            try:
                if self.in_room:
                    events = self.decoder.arrived_at(self.room.data, size)
                else:
                    events = self.decoder.arrived(size)
            except MemoryError:
                self._out_of_memory()
                return 0
            self.deliver(events)
        return 0

    cdef object eof(self):
        """Whether the transport is to stay open for what is still to be sent."""
        if self.cipher is not None:
            self.cipher.feed(b"")
            self.decrypt()
        else:
            self._ended()
        return self.write is not None

    cdef int decrypt(self) except -1:
        """Delivers all that can be decrypted."""
        cdef Py_ssize_t size
        if self._shaking:
            self._shake_hands()
        while not self._shaking and self.write is not None:
            # What was received has been copied: there is room for what it says.
            try:
                size = self.cipher.decrypt_into(self.room.data, CHUNK)
                if size == NOTHING_YET:
                    break
                if size == 0:
                    self._ended()
                    break
                if not self.opened:
                    self._opening((<char *>self.room.data)[:size])
                    continue
                events = self.decoder.arrived_at(self.room.data, size)
            except MemoryError:
                self._out_of_memory()
                break
            except OSError as exc:
                self._failed(exc)
                break
            self.deliver(events)
        if self.cipher.outgoing.pending:
            self.flush()  # TLS itself has something to say
        return 0

    cdef int deliver(self, list events) except -1:
        cdef list messages = events
        cdef size_t size = self.decoder.message_bytes
        cdef bint control = self.decoder.control
        if control:
            messages = self._handle(events)
            size = total_size(messages)
        elif self._deaf:
            return 0
        elif messages:
            self._message_at = self._heard_at
        if messages:
            if self.on_message is not None:
                self.call_back(messages)
            else:
                self.keep(messages, size)
        if control:
            self._handled()
        return 0

    def _deliver(self, list messages not None):
        """Messages that came while the connection was being opened."""
        if not messages:
            return
        if self.on_message is not None:
            self.call_back(messages)
        else:
            self.keep(messages, total_size(messages))

    cdef int call_back(self, list messages) except -1:
        cdef Py_ssize_t at = 0, count = len(messages)
        cdef object on_message = self.on_message
        self.batching = True
        try:
            while at < count and not self._deaf:
                try:
                    while at < count and not self._deaf:
                        at += 1
                        on_message(self, <object>PyList_GET_ITEM(messages, at - 1))
                except Exception as exc:
                    self._callback_failed(exc)
        finally:
            self.batching = False
        if self.outbox.size:
            self.flush()
        return 0

    cdef int keep(self, list messages, size_t size) except -1:
        if self._dropping:
            return 0
        self.inbox.put(messages, size)
        self.wake_receiver()
        if not self._paused and self.inbox.full():
            self._pause()
        return 0

    cdef int wake_receiver(self) except -1:
        receiver = self._receiver
        if receiver is not None and not receiver.done():
            receiver.set_result(None)
        return 0

    cdef object take(self):
        message = self.inbox.pop()
        if self._paused and not self.inbox.full():
            self._resume()
        return message

    def _take(self):
        return self.take()

    def receive(self):
        self.check_thread()
        return receiving(self, False, False)

    def __aiter__(self):
        return self

    def __anext__(self):
        self.check_thread()
        return receiving(self, True, False)

    def _receive_event(self):
        self.check_thread()
        return receiving(self, False, True)

    def _put(self, event):
        self.inbox.put([event], 0)
        self.wake_receiver()

    # -------------------------------------------------------------- sending

    def send(self, data):
        return self.send_or_wait(data)

    cdef object send_or_wait(self, data):
        if self._waiting or not self.has_room():
            return self._send_slowly(data)
        self.send_any(data, False)
        return DONE

    def _send_event(self, event):
        if not self._relays or event["type"] != "websocket.send":
            return self._send_other_event(event)
        data = message_of(event if type(event) is dict else dict(event))
        return DONE if data is None else self.send_or_wait(data)

    def send_nowait(self, data):
        self.send_any(data, True)

    def _send(self, data):
        self.send_any(data, False)

    cdef int send_any(self, data, bint strict) except -1:
        cdef Py_ssize_t size
        cdef const char *encoded
        cdef Py_buffer source
        cdef bint sent
        self.check_thread()
        if type(data) is bytes:
            size = PyBytes_GET_SIZE(data)
            sent = self.add(WSF_BINARY, <const uint8_t *>PyBytes_AS_STRING(data), size, strict)
        elif isinstance(data, str):
            encoded = PyUnicode_AsUTF8AndSize(data, &size)
            sent = self.add(WSF_TEXT, <const uint8_t *>encoded, size, strict)
        else:
            get_bytes(data, &source)
            size = source.len
            try:
                sent = self.add(WSF_BINARY, <const uint8_t *>source.buf, size, strict)
            finally:
                PyBuffer_Release(&source)
        if not sent:
            self._send_otherwise(data, size, strict)
        return self.after_adding()

    cdef bint add(self, uint8_t opcode, const uint8_t *data, size_t size, bint strict) except -1:
        """False if it cannot be done without asking the connection."""
        cdef Outbox outbox = self.outbox
        cdef Added added
        if not outbox.is_open or self.broken or (strict and not self.fits(size)):
            return False
        while True:
            added = outbox.add(opcode, True, False, data, size)
            if added == ADDED:
                return True
            if added == NO_MEMORY:
                raise MemoryError
            outbox.draw_keys()

    def _send_framed(self, bytes frame not None):
        """False if it cannot be sent now."""
        return self.send_framed(frame)

    cdef bint send_framed(self, bytes frame) except -1:
        cdef size_t size = PyBytes_GET_SIZE(frame)
        cdef Added added
        self.check_thread()
        if self.broken or self.write is None or not self.fits(size):
            return False
        if not self.blocked and self.outbox.size:
            self.flush()  # what came before
        if not self.blocked and self.cipher is None:
            self.heard_since = False
            self.put_on_wire(frame, size)
            self.sent_at = wsfast_now()
            return True
        added = self.outbox.add_framed(<const uint8_t *>PyBytes_AS_STRING(frame), size)
        if added != ADDED:
            raise MemoryError
        self.flush()
        return True

    cdef bint has_room(self) noexcept:
        """Whether senders need not wait. What they send may go beyond the bounds, once."""
        return not self.blocked or (
            self.outbox.size < self.high_water
            and self.outbox.size + self.in_flight < self.max_bytes
            and self.outbox.frame_count < self.max_frames
        )

    cdef bint fits(self, size_t size) noexcept:
        """Whether that much more is within the bounds. A message has room where nothing waits."""
        return not self.blocked or (
            self.outbox.size + self.in_flight + size <= self.max_bytes
            and self.outbox.frame_count < self.max_frames
        )

    cdef int after_adding(self) except -1:
        if self.blocked or self.write is None:
            return 0  # it leaves as soon as it can
        if self.outbox.size >= BATCH:
            return self.flush()
        if self.batching:
            return 0
        if (self.inbox is not None and self.inbox.count) or (
            not self.heard_since and wsfast_now() - self.sent_at < GAP
        ):
            if not self.scheduled:
                self.scheduled = True
                self.room.call_soon(self._flush_scheduled)
            return 0
        return self.flush()

    def _push(self):
        self.after_adding()

    def _flush_scheduled(self):
        self.scheduled = False
        self.flush()

    def _flush(self):
        self.flush()

    cdef int flush(self) except -1:
        cdef size_t size = 0, room = 0
        cdef PyObject *block = NULL
        cdef object owner
        if self.blocked or self.write is None:
            return 0
        if not self._shaking:
            block = self.outbox.take_block(&size, &room)
        if block == NULL:
            if self.cipher is None or not self.cipher.outgoing.pending:
                return 0
            owner = b""
        else:
            owner = <object>block
            Py_XDECREF(block)
        if self.broken:
            return 0
        if self.cipher is not None:
            try:
                owner = self.cipher.encode(memoryview(owner)[:size])
            except (OSError, ValueError):
                self.broken = True  # never in the clear
                return 0
            size = PyBytes_GET_SIZE(owner)
        # Asking for the time takes some, too: what answers a chunk left about when that came.
        self.sent_at = self._heard_at if self.heard_since else wsfast_now()
        self.heard_since = False
        self.put_on_wire(owner, size)
        return 0

    cdef int put_on_wire(self, bytes owner, size_t size) except -1:
        cdef const char *data = PyBytes_AS_STRING(owner)
        cdef size_t at = 0
        cdef ptrdiff_t sent
        while self.direct and at < size:
            if size - at <= HOLD:
                sent = wsfast_send(self.fd, data + at, size - at)
            else:
                with nogil:
                    sent = wsfast_send(self.fd, data + at, size - at)
            if sent < 0:
                self.broken = True  # what the peer has sent before is still to be read
                return 0
            if sent == 0:
                break
            at += sent
        if at < size:
            self.in_flight = size - at
            self.write(memoryview(owner)[at:size])
        return 0

    cdef int unblocked(self) except -1:
        self.blocked = False
        self.in_flight = 0
        self.flush()
        if self.has_room():
            self._sent()
        return 0

    # -------------------------------------------------------------- what a Connection does

    def _made(self, transport):
        raise NotImplementedError

    def _shake_hands(self):
        raise NotImplementedError

    def _opening(self, data):
        raise NotImplementedError

    def _handle(self, events):
        raise NotImplementedError

    def _handled(self):
        raise NotImplementedError

    def _out_of_memory(self):
        raise NotImplementedError

    def _callback_failed(self, error):
        raise NotImplementedError

    def _pause(self):
        raise NotImplementedError

    def _resume(self):
        raise NotImplementedError

    def _check_input(self, iterating):
        raise NotImplementedError

    def _send_slowly(self, data):
        raise NotImplementedError

    def _send_otherwise(self, data, size, strict):
        raise NotImplementedError

    def _send_other_event(self, event):
        raise NotImplementedError

    def _sent(self):
        raise NotImplementedError

    def _ended(self):
        raise NotImplementedError

    def _failed(self, error):
        raise NotImplementedError

    def _lost(self, error):
        raise NotImplementedError


include "awaitables.pxi"


def send_plain(connections, bytes frame not None):
    cdef Endpoint endpoint
    cdef list others = []
    for each in connections:
        endpoint = <Endpoint?>each
        # What the protocol knows of each is not asked for: for many it is in no cache.
        if not endpoint.outbox.is_open or endpoint.outbox.masked or not endpoint.send_framed(frame):
            others.append(each)
    return others
